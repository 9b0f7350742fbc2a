import pytest

from llm_proxy.errors import InvalidInputError
from llm_proxy.tasks import Task


def test_a_task_of_a_prompt_alone_is_custom():
    assert Task.of("hi") == Task("hi") == Task("hi", "custom", None, None)


def test_a_task_of_plain_strings():
    assert Task.of("hi", type="translation", source="email", language="DE") == Task(
        "hi", "translation", "email", "de"
    )


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"type": "poem"}, "type"),
        ({"type": ""}, "type"),
        ({"source": "fax"}, "source"),
        ({"language": "zz"}, "language"),
        ({"language": ""}, "language"),
        ({"type": "translation"}, "language"),
    ],
)
def test_other_strings_are_refused_by_name(values, named):
    with pytest.raises(InvalidInputError, match=f"^{named} "):
        Task.of("hi", **values)
