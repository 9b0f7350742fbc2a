"""What the answers of scripts mean, and that others are trouble of Redis."""

import pytest
from tests.limits.claiming import money, requests

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.limits.replies import count_spoilt, read, verdict

CLAIMS = requests(9), money(9, 1)


def test_standings():
    found = verdict(read([b"standings", 5, 3, 1, 7, 2_500_000, 0, 8, 0]), CLAIMS)

    assert [tuple(each) for each in found.standings] == [
        (CLAIMS[0], 7, 2.5, True),
        (CLAIMS[1], 8, 0.0, False),
    ]


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"OK",
        1,
        [],
        [1],
        [b"stranger"],
        [b"stranger", b"1"],
        [None, 1],
        [b"renamed", 1],
        [b"unknown", 1, 0],
        [b"unknown", 1, 3],
        [b"unknown", 1, b"1"],
        [b"standings", 1],
        [b"standings", 1, 3, 1, 7, 0],
        [b"standings", 1, 3, 1, 7, 0, None, 8, 0],
        [[b"standings", 1]],
        [b"processes", 1, 1],
    ],
)
def test_what_no_script_says_is_trouble(said):
    with pytest.raises(StorageUnavailableError):
        verdict(read(said), CLAIMS)


@pytest.mark.parametrize("said", [None, b"1", [], [1]])
def test_what_no_settlement_says_is_trouble(said):
    with pytest.raises(StorageUnavailableError):
        count_spoilt(said)
