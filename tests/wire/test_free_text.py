import json
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.types import Tool
from llm_proxy.wire.free_text import (
    FreeTextReader,
    as_function,
    read_free_text,
    write_free_text,
)

SENDABLE = st.text(st.characters(exclude_categories=["Cs"]))


def cut(text, places):
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def read_pieces(pieces):
    reader = FreeTextReader()
    return [reader.feed(piece) for piece in pieces]


@given(SENDABLE, st.booleans(), st.lists(st.integers(0, 500)))
def test_what_was_written_is_read_however_it_is_cut(text, ascii_only, places):
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)

    assert "".join(read_pieces(cut(arguments, places))) == text
    assert read_free_text(arguments) == read_free_text(write_free_text(text)) == text


@given(
    st.text(st.sampled_from('{"input":\\ud83DE00nx/\n \t}é')) | st.text(),
    st.lists(st.integers(0, 500)),
)
def test_pieces_of_anything_give_what_the_whole_gives(arguments, places):
    read = "".join(read_pieces(cut(arguments, places)))

    assert read == read_free_text(arguments)


@given(
    st.text(st.sampled_from('"\\ud83DE00nx/\n \té')),
    st.lists(st.integers(0, 500)),
)
def test_pieces_of_any_string_can_be_sent(string, places):
    arguments = '{"input": "' + string
    read = "".join(read_pieces(cut(arguments, places)))

    assert read == read_free_text(arguments)
    assert orjson.loads(orjson.dumps(read)) == read


def test_the_text_is_handed_out_as_it_grows():
    pieces = [' {\n"in', 'put" : ', '"', "Hel", "lo\\", 'n\\"', '"', "}"]

    assert read_pieces(pieces) == ["", "", "", "Hel", "lo", '\n"', "", ""]


def test_a_character_is_held_back_until_it_is_whole():
    pieces = ['{"input":"a\\ud8', "3d", "\\ude0", '0b"}']

    assert read_pieces(pieces) == ["a", "", "", "😀b"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ('{"input": "cut of', "cut of"),
        ('{"input": "a"} and more', "a"),
        ('{"input": "a", "more": "b"}', "a"),
        ('{"input": "\\ud83d"}', "\ufffd"),
        ('{"input": "\\ud83dx\\ude00"}', "\ufffdx\ufffd"),
        ('{"input": "\\\\ud83d"}', "\\ud83d"),
        ('{"input": "\\x \\u12"}', "\\x \\u12"),
        ('{"input": "raw\nline"}', "raw\nline"),
        ('{"in put": "a"}', '{"in put": "a"}'),
        ('{"input": 1}', '{"input": 1}'),
        ('{"other": "a"}', '{"other": "a"}'),
        ("free text", "free text"),
    ],
)
def test_models_write_what_they_like(arguments, text):
    assert read_free_text(arguments) == text


@pytest.mark.parametrize(
    ("grammar", "description"),
    [
        (None, "Patch a file."),
        (
            {"type": "grammar", "syntax": "lark", "definition": "start: A"},
            "Patch a file.\n\n`input` must obey this lark grammar:\nstart: A",
        ),
        (
            {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
            "Patch a file.\n\n`input` must obey this regex grammar:\na+",
        ),
    ],
)
def test_a_custom_tool_becomes_a_function(grammar, description):
    tool = Tool("patch", "Patch a file.", custom=True, grammar=grammar, cache="5m")

    assert as_function(tool) == Tool(
        "patch",
        description,
        {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        },
        cache="5m",
    )


def test_a_grammar_is_description_enough():
    tool = Tool("patch", custom=True, grammar={"syntax": "regex", "definition": "a+"})

    assert as_function(tool).description.startswith("`input` must obey")
