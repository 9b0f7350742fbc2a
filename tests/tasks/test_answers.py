import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.tasks import Task, TaskResult, UnusableAnswerError, read_answer

TYPES = ("summary", "keywords", "sentiment", "entities", "translation", "custom")


def read(type_: str, text: str) -> TaskResult:
    return read_answer(Task("hi", type_, language="de"), text)


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("summary", {"summary": "Less hiring."}),
        ("translation", {"translation": "Less hiring.", "language": "de"}),
        ("custom", {"text": "Less hiring."}),
    ],
)
def test_plain_text_is_the_result(type_, data):
    assert read(type_, "\n Less hiring. ") == TaskResult("Less hiring.", data)


@pytest.mark.parametrize("type_", ["summary", "translation"])
def test_a_fence_around_the_whole_text_is_taken_away(type_):
    assert read(type_, "```text\nOne\n\nTwo\n```").summary == "One\n\nTwo"


@pytest.mark.parametrize(
    "text", ["```\na\n```\nand\n```\nb\n```", "Use `this`", "```\nopen"]
)
def test_other_fences_stay(text):
    assert read("summary", text).summary == text


def test_a_lone_fence_at_the_end_is_taken_away():
    task = Task("x", type="summary")
    assert read_answer(task, "All is well.\n\n```").summary == "All is well."


def test_code_that_was_asked_for_keeps_its_fence():
    text = "```python\npass\n```"

    assert read("custom", text) == TaskResult(text, {"text": text})


@pytest.mark.parametrize(
    "text",
    [
        '{"keywords": ["apple", "pear"]}',
        '["apple", "pear"]',
        'Sure! ```json\n{"keywords": ["apple", "pear",],}\n``` Anything else?',
        'As asked [1]: {"keywords": [" apple", "pear", "Apple", ""]}',
        '{"keywords": "apple, pear"}',
        "apple, pear",
        "apple; pear; Pear",
        "Keywords: apple, pear.",
        "```\napple\npear\n```",
        "Here are the keywords:\n- apple\n- pear\nEnjoy!",
        "1. **apple**\n2) `pear`",
        "\u2022 apple\n\u2022 pear",
        '"apple", "pear"',
    ],
)
def test_keywords_are_read_from_what_models_write(text):
    assert read("keywords", text) == TaskResult(
        "apple, pear", {"keywords": ["apple", "pear"]}
    )


def test_keywords_are_at_most_fifty():
    text = json.dumps({"keywords": [f"word{number}" for number in range(60)]})

    assert len(read("keywords", text).data["keywords"]) == 50


def test_no_keywords_are_a_result_too():
    assert read("keywords", '{"keywords": []}') == TaskResult("none", {"keywords": []})


@pytest.mark.parametrize(
    ("text", "label", "score"),
    [
        ('{"label": "positive", "score": 0.92}', "positive", 0.92),
        ('[{"label": "Negative", "score": -0.8}]', "negative", 0.8),
        ('It is {"label": "mixed", "score": "60%",}.', "mixed", 0.6),
        ('{"sentiment": "neutral", "confidence": 0.5}', "neutral", 0.5),
        ('{"label": "very positive", "score": 1}', "positive", 1.0),
        ('{"label": "positive", "score": 85}', "positive", None),
        ('{"label": "positive", "score": NaN}', "positive", None),
        ('{"label": "positive", "score": true}', "positive", None),
        ('{"label": "positive", "score": "high"}', "positive", None),
        ('{"label": "positive"}', "positive", None),
        ("Positive (0.9)", "positive", 0.9),
        ("NEUTRAL", "neutral", None),
        ("**Negative**, although the start is positive: 75%", "negative", 0.75),
        ("The sentiment of this text is mixed.", "mixed", None),
        ("It is not positive but neutral.", "neutral", None),
    ],
)
def test_a_sentiment_is_read_from_what_models_write(text, label, score):
    summary = label if score is None else f"{label} ({score:.2f})"

    assert read("sentiment", text) == TaskResult(
        summary, {"label": label, "score": score}
    )


ANNA = {"text": "Anna", "kind": "person"}
PARIS = {"text": "Paris", "kind": "location"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"entities": [ANNA, PARIS]}),
        json.dumps([ANNA, PARIS, ANNA]),
        f"Found: ```json\n{json.dumps({'entities': [ANNA, PARIS]}, indent=1)}\n```",
        '{"entities": [{"name": " Anna ", "type": "PERSON"}, '
        '{"text": "Paris", "kind": "GPE",}, {"text": ""}, {"kind": "date"}, "x",]}',
    ],
)
def test_entities_are_read_from_what_models_write(text):
    assert read("entities", text) == TaskResult(
        "Anna (person), Paris (location)", {"entities": [ANNA, PARIS]}
    )


def test_one_entity_needs_no_list():
    assert read("entities", json.dumps(ANNA)).data == {"entities": [ANNA]}


@pytest.mark.parametrize("kind", ["animal", "", None, ["person"]])
def test_a_kind_that_we_do_not_know_is_other(kind):
    text = json.dumps({"entities": [{"text": "Rex", "kind": kind}]})

    assert read("entities", text).data["entities"][0]["kind"] == "other"


def test_entities_are_at_most_a_hundred():
    text = json.dumps([{"text": f"name{number}"} for number in range(120)])

    assert len(read("entities", text).data["entities"]) == 100


@pytest.mark.parametrize("text", ['{"entities": []}', "[]"])
def test_no_entities_are_a_result_too(text):
    assert read("entities", text) == TaskResult("none", {"entities": []})


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        *((type_, text) for type_ in TYPES for text in ("", " \n ")),
        ("summary", "```\n\n```"),
        ("keywords", '{"error": "overloaded"}'),
        ("keywords", "I am afraid that I cannot help you with that."),
        ("keywords", "[[[]]]"),
        ("keywords", '```json\n{"keywords": ["apple", "pea'),
        ("keywords", '["apple", "pea'),
        ("sentiment", "I cannot tell."),
        ("sentiment", "The label is positive, negative, neutral or mixed."),
        ("sentiment", '{"label": 3}'),
        ("sentiment", "9" * 5_000),
        ("entities", "Anna and Paris"),
        ("entities", '{"entities": ["x"]}'),
        ("entities", '{"entities": 7}'),
        ("entities", '[{"text": "Anna", "kind": "pers'),
        ("entities", '[{"text": ' + "9" * 5_000 + "}]"),
        ("entities", "[" * 100_000),
        ("keywords", '{"keywords": ' * 100_000),
    ],
)
def test_an_answer_that_says_nothing_is_refused(type_, text):
    with pytest.raises(UnusableAnswerError):
        read(type_, text)


def test_the_refusal_does_not_repeat_the_answer():
    with pytest.raises(UnusableAnswerError) as caught:
        read("sentiment", "my secret")

    assert "secret" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = st.sampled_from(["keywords", "label", "score", "entities", "text", "kind"])
ANSWERS = st.one_of(
    st.text(),
    st.text(alphabet='{}[]",:` \n-1.0epositvnrlmxk%'),
    JSON.map(json.dumps),
    st.dictionaries(NAMES, JSON).map(json.dumps),
    st.lists(st.dictionaries(NAMES, JSON)).map(json.dumps),
    st.just('{"keywords": ["\\ud800"], "entities": [{"text": "\\ud800"}]}'),
    st.just("\ud800"),
)


@given(st.sampled_from(TYPES), ANSWERS)
def test_any_answer_is_a_result_in_its_form_or_refused(type_, text):
    try:
        result = read(type_, text)
    except UnusableAnswerError:
        return

    # It can be sent: real JSON, in characters that UTF-8 has.
    json.dumps(result.data, allow_nan=False, ensure_ascii=False).encode()
    assert result.summary.strip()
