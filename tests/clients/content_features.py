"""What programs send to a model and hear from it."""

from collections.abc import Mapping
from typing import Any

from tests.clients import words
from tests.clients.feature import GREETING, HELLO, STOPPED, Feature, reached
from tests.clients.program import Program, Told


def plain_text(program: Program) -> None:
    told = program.ask(**program.says(HELLO))
    assert told.text == GREETING
    assert told.ending == STOPPED[program.dialect]


def streamed_text(program: Program) -> None:
    told = program.ask("slow-stream-5", **program.says(HELLO))
    assert told.text == GREETING
    assert told.deltas > 1


def system_message(program: Program) -> None:
    told = program.ask(**words.SYSTEM[program.dialect])
    assert told.text == GREETING
    assert reached(program, "Be brief.", HELLO)


def developer_message(program: Program) -> None:
    told = program.ask(**words.DEVELOPER[program.dialect])
    assert told.text == GREETING
    assert reached(program, "Be brief.", HELLO)


def several_turns(program: Program) -> None:
    fields = program.says("One")
    first = program.ask(**fields)
    follow_up = {"role": "user", "content": "Two"}
    second = program.ask(**program.goes_on(fields, first, follow_up))
    assert second.text == 'The sandbox read: "Two"'
    assert reached(program, "One", first.text, "Two")


def _look(program: Program, part: Mapping[str, Any]) -> Told:
    text = words.TEXT[program.dialect]
    return program.ask(**program.says(part[program.dialect], text))


def image(program: Program) -> None:
    told = _look(program, words.IMAGE)
    assert told.text == 'The sandbox read: "Look" It saw 1 image (image/png).'


def remote_image(program: Program) -> None:
    told = _look(program, words.REMOTE_IMAGE)
    assert "It saw 1 " in told.text
    assert reached(program, words.IMAGE_URL)


def document(program: Program) -> None:
    told = _look(program, words.DOCUMENT)
    assert told.text == (
        'The sandbox read: "Look" It saw 1 document (application/pdf).'
    )


def audio(program: Program) -> None:
    assert "It saw 1 audio" in _look(program, words.AUDIO).text


CONTENT = (
    Feature("Text", plain_text),
    Feature("Text, piece by piece", streamed_text),
    Feature("System message", system_message),
    Feature("Developer message", developer_message, words.DEVELOPER),
    Feature("Several turns", several_turns),
    Feature("Image as base64", image),
    Feature("Image by URL", remote_image),
    Feature("PDF as base64", document),
    Feature("Audio", audio, words.AUDIO),
)
