import pytest

from llm_proxy.limits import RateLimits


@pytest.fixture
def limits(settings):
    return RateLimits(settings(rate_limit=2))


def test_a_limit_counts_until_it_is_reached(limits):
    standings = [limits.count("api", "token:a") for _ in range(3)]
    assert [standing.limit for standing in standings] == [2, 2, 2]
    assert [standing.remaining for standing in standings] == [1, 0, 0]
    assert [standing.exceeded for standing in standings] == [False, False, True]


def test_every_client_and_every_scope_has_its_own_count(limits):
    clients = [("api", "token:a"), ("api", "token:b"), ("auth_failure", "token:a")]
    standings = [limits.count(*each) for each in clients]
    assert [standing.remaining for standing in standings] == [1, 1, 19]


def test_what_has_no_limit_is_not_counted(limits):
    assert limits.count("chat", "token:a") is None
