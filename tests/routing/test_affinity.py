import time

import pytest

from llm_proxy.config import AffinityConfig
from llm_proxy.routing import session_of

SYSTEM = {"role": "system", "content": "Be brief."}
HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi"}
MORE = {"role": "user", "content": "More"}
MARK = {"cache_control": {"type": "ephemeral", "ttl": "5m"}}


def session(by, fields, *, owner="ann", header="", ttl=3600.0):
    return session_of(AffinityConfig(by=by, ttl=ttl), owner, fields, header)


@pytest.fixture(autouse=True)
def at(monkeypatch):
    """Sets the clock; it stands still unless told."""

    def at(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: seconds)

    at(1_800_000_000.0)
    return at


class TestUser:
    @pytest.mark.parametrize(
        "fields",
        [
            {"user": "bob"},
            {"safety_identifier": "bob", "user": "other"},
            {"metadata": {"user_id": "bob"}},
            {"user": "bob", "messages": [HELLO]},
        ],
    )
    def test_one_user_is_one_session(self, fields):
        assert session("user", fields) == session("user", {"user": "bob"})
        assert session("user", fields) != session("user", {"user": "eve"})

    def test_who_names_no_user_is_one(self):
        fields = {"messages": [HELLO], "user": None, "metadata": None}
        assert session("user", fields) == session("user", {"messages": [MORE]})


class TestConversation:
    @pytest.mark.parametrize(
        ("fields", "header"),
        [
            ({"prompt_cache_key": "c1"}, ""),
            ({"conversation": "c1"}, ""),
            ({"conversation": {"id": "c1"}}, ""),
            ({"metadata": {"session_id": "c1"}}, ""),
            ({"messages": [MORE], "conversation": "c2"}, "c1"),
        ],
    )
    def test_what_the_caller_calls_it(self, fields, header):
        named = session("conversation", {"session_id": "c1"})
        assert session("conversation", fields, header=header) == named

    def test_without_a_name_it_is_its_beginning(self):
        fields = {"messages": [SYSTEM, HELLO]}
        assert session("conversation", fields) == session("prefix", fields)


class TestPrefix:
    def test_later_turns_stay_with_the_first(self):
        first = session("prefix", {"messages": [SYSTEM, HELLO]})
        later = {"messages": [SYSTEM, HELLO, HI, MORE], "temperature": 1}
        assert session("prefix", later) == first

    @pytest.mark.parametrize(
        "other",
        [
            {"messages": [HELLO]},
            {"messages": [SYSTEM, MORE]},
            {"messages": [SYSTEM, HELLO], "tools": [{"name": "f"}]},
            {"messages": [SYSTEM, HELLO], "system": "Be kind."},
            {"messages": "odd"},
            {"messages": []},
            {},
        ],
    )
    def test_other_beginnings_are_other_sessions(self, other):
        first = session("prefix", {"messages": [SYSTEM, HELLO]})
        assert session("prefix", other) != first

    @pytest.mark.parametrize("name", ["messages", "input"])
    def test_in_every_dialect(self, name):
        one, later = {name: [HELLO]}, {name: [HELLO, HI, MORE]}
        assert session("prefix", one) == session("prefix", later)

    @pytest.mark.parametrize("name", ["prompt", "input"])
    def test_a_text_is_its_own_beginning(self, name):
        assert session("prefix", {name: "a"}) != session("prefix", {name: "b"})

    @pytest.mark.parametrize(
        "marked",
        [
            {"type": "text", "text": "Hello", **MARK},
            {**MARK, "type": "text", "text": "Hello"},
            {"type": "text", **MARK, "text": "Hello"},
        ],
    )
    def test_marks_of_what_is_cached_may_move_on(self, marked):
        plain = {"type": "text", "text": "Hello"}

        def asked(part):
            return {"messages": [{"role": "user", "content": [part]}], "system": [part]}

        assert session("prefix", asked(marked)) == session("prefix", asked(plain))

    def test_texts_that_look_like_marks_stay(self):
        texts = ['a,"cache_control":{}', 'a,"cache_control":{"b":1}']
        one, other = ({"prompt": text} for text in texts)
        assert session("prefix", one) != session("prefix", other)


class TestOwners:
    @pytest.mark.parametrize("by", ["user", "conversation", "prefix"])
    def test_two_callers_never_share_one(self, by):
        fields = {"user": "bob", "session_id": "c1", "messages": [HELLO]}
        ann = session(by, fields)
        assert session(by, fields) == ann
        assert session(by, fields, owner="eve") != ann

    @pytest.mark.parametrize(
        ("one", "other"), [(("a", "xb"), ("ba", "x")), (("a", "bx"), ("ab", "x"))]
    )
    def test_not_even_if_their_names_run_together(self, one, other):
        sessions = {
            session("user", {"user": user}, owner=owner) for owner, user in (one, other)
        }
        assert len(sessions) == 2


class TestTime:
    def sessions(self, now, ttl=100.0):
        return [session("user", {"user": str(n)}, ttl=ttl) for n in range(400)]

    @pytest.mark.parametrize(("elapsed", "moved"), [(0, 0), (25, 100), (100, 400)])
    def test_every_session_moves_once_in_its_time(self, at, elapsed, moved):
        before = self.sessions(at)
        at(1_800_000_000.0 + elapsed)
        pairs = zip(before, self.sessions(at), strict=True)
        assert sum(old != new for old, new in pairs) == pytest.approx(moved, abs=40)

    def test_any_time_will_do(self):
        assert session("user", {}, ttl=1e-12) != b""
