import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_proxy.security.key_text import is_well_formed, new_secret

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The checksum of what is all zeros was computed apart from the program:
# zlib.crc32(b"0" * 43) is 2018072207, which is 2CZclj in base 62.
ZEROS = f"sk-llmp-{'0' * 43}"


def test_secret_is_a_prefix_and_49_characters():
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch(r"sk-llmp-[0-9A-Za-z]{49}", secret)
        assert is_well_formed(secret)


def test_checksum_is_crc32_in_base_62():
    assert is_well_formed(f"{ZEROS}2CZclj")


@given(st.data())
def test_one_wrong_character_is_noticed(data):
    secret = new_secret()
    place = data.draw(st.integers(8, len(secret) - 1))
    wrong = data.draw(st.sampled_from(ALPHABET.replace(secret[place], "")))

    assert not is_well_formed(secret[:place] + wrong + secret[place + 1 :])


@given(st.integers(8, 55))
def test_swapped_neighbours_are_noticed(place):
    secret = new_secret()
    swapped = secret[:place] + secret[place + 1] + secret[place] + secret[place + 2 :]

    assert is_well_formed(swapped) == (swapped == secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "0",
        lambda secret: secret + "\n",
        lambda secret: secret[:-1] + "\n",
        lambda secret: secret.upper(),
        lambda secret: secret.replace("sk-llmp-", "sk-abcd-"),
        lambda secret: secret[:20] + "é" + secret[21:],
        lambda secret: secret[:20] + "٣" + secret[21:],
        lambda secret: secret[:20] + "\ud800" + secret[21:],
        lambda secret: secret[:20] + "\0" + secret[21:],
        lambda secret: secret * 100_000,
    ],
)
def test_other_texts_are_no_secrets(change):
    assert not is_well_formed(change(new_secret()))


@given(st.text(max_size=100))
def test_any_text_may_be_asked_about(text):
    assert not is_well_formed(text)
