from llm_proxy.security.verified import Verified


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_token_is_known_until_it_expires():
    clock = Clock()
    verified = Verified(clock=clock)
    verified.add("a.b.c", "ada", expires_at=1010.0)
    assert verified.find("a.b.c") == "ada"
    clock.now = 1010.0
    assert verified.find("a.b.c") is None


def test_a_token_is_known_no_longer_than_the_bound():
    clock = Clock()
    verified = Verified(max_seconds=5, clock=clock)
    verified.add("a.b.c", "ada", expires_at=1010.0)
    clock.now = 1005.0
    assert verified.find("a.b.c") is None


def test_only_the_whole_token_counts():
    verified = Verified()
    token = "a" * 8000 + ".b.c"
    verified.add(token, "ada", expires_at=1e12)
    for other in (token[:-1], token[1:], token + "d", token[:-1] + "d", "", "\udc80"):
        assert verified.find(other) is None


def test_a_token_that_is_too_long_is_not_looked_at():
    verified = Verified()
    verified.add("a" * 8193, "ada", expires_at=1e12)
    assert verified.find("a" * 8193) is None


def test_tokens_take_no_more_than_their_share_of_memory():
    verified = Verified(max_tokens=3)
    for number in range(100):
        verified.add(f"a.b.{number}", number, expires_at=1e12)
    assert [n for n in range(100) if verified.find(f"a.b.{n}") is not None] == [
        97,
        98,
        99,
    ]
