import orjson
import pytest

from llm_proxy.wire.parsing import parse_json


def nested(levels):
    return '{"a":[' * (levels // 2) + "1" + "]}" * (levels // 2)


@pytest.mark.parametrize("kind", [str, str.encode])
def test_what_can_be_written_again_is_parsed(kind):
    text = nested(200)
    assert orjson.dumps(parse_json(kind(text))).decode() == text
    wide = "[" + "[]," * 10_000 + "[]]"
    assert len(parse_json(kind(wide))) == 10_001


@pytest.mark.parametrize("levels", [240, 300, 1000, 100_000])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_what_is_nested_too_deeply_is_no_json(kind, levels):
    with pytest.raises(orjson.JSONDecodeError):
        parse_json(kind(nested(levels)))
