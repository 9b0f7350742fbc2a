"""Every feature of every dialect with every provider, by the vendors' own SDKs."""

import json

import pytest
from tests.clients.expectations import EXCEPTIONS, cells, fate_of
from tests.clients.features import FEATURES
from tests.clients.program import DroppedError, Program, RefusedError
from tests.clients.table import PAGE, page

pytestmark = pytest.mark.integration


def fate_in_practice(name: str, program: Program) -> str:
    """What becomes of a feature when a program uses it."""
    try:
        FEATURES[name].run(program)
    except RefusedError:
        return "refused"
    except DroppedError:
        return "left out"
    return "works"


def has_passed_through(program: Program) -> bool:
    """Whether the upstream got the request of the program, field by field."""
    sent, received = json.loads(program.wiretap.sent), program.upstream.body()
    for body in (sent, received):
        for name in ("model", "stream_options"):
            body.pop(name, None)
    return sent == received


@pytest.mark.parametrize(("feature", "dialect", "provider"), cells())
def test_each_cell_of_the_table_is_true(program, feature, dialect, provider):
    asking = program(dialect, provider)
    fate = fate_of(feature, dialect, provider)
    works = fate in ("passes", "translated")
    assert fate_in_practice(feature, asking) == ("works" if works else fate)
    # Compatible upstreams know a role and a field by their older names.
    if fate == "passes" and provider != "compatible":
        assert has_passed_through(asking)


def test_the_table_has_no_rows_of_its_own():
    assert EXCEPTIONS.keys() <= FEATURES.keys()


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page()
