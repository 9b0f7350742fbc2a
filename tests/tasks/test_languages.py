import string
from itertools import product

import pytest

from llm_proxy.tasks import language_name


@pytest.mark.parametrize(
    ("code", "name"),
    [("en", "English"), ("de", "German"), ("ZH", "Chinese"), ("Pt", "Portuguese")],
)
def test_a_code_has_a_name_in_any_case(code, name):
    assert language_name(code) == name


@pytest.mark.parametrize(
    "code", ["", "e", "zz", "eng", "english", "en-US", " en", "e\n"]
)
def test_other_strings_have_none(code):
    assert language_name(code) is None


def test_all_of_iso_639_1_is_there():
    codes = map("".join, product(string.ascii_lowercase, repeat=2))
    names = [name for name in map(language_name, codes) if name]

    assert len(set(names)) == 183
