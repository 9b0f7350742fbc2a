"""The catalogue knows every model of the sandbox, and each row allows something."""

import re

import pytest

from llm_proxy.providers.sandbox import MODELS
from llm_proxy.selftest.catalogue import (
    CREDENTIAL_FAULTS,
    FAULTS,
    ODDITIES,
    PASSED_OVER,
)
from llm_proxy.selftest.faults import SURFACES, cases_of
from llm_proxy.selftest.verdict import allowed_outcomes

ROWS = (*ODDITIES, *FAULTS, *CREDENTIAL_FAULTS)


def stem(name: str) -> str:
    return name if name in MODELS else re.sub("-[0-9]+$", "", name)


def test_every_model_of_the_sandbox_has_a_row_or_a_reason_to_have_none():
    known = {stem(row.model) for row in ROWS} | {stem(name) for name in PASSED_OVER}
    assert known == set(MODELS)


def test_no_model_is_tried_twice():
    names = [row.model for row in ROWS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)
def test_what_says_something_about_streams_alone_is_tried_on_streams_alone(row):
    if MODELS[stem(row.model)].streams_only:
        assert row.asked == "stream"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)
def test_a_fault_never_may_be_a_whole_answer_on_the_native_surface(row):
    for case in cases_of(row, SURFACES):
        is_fault = row.model.startswith("fault-")
        may_answer = "whole" in allowed_outcomes(case)
        if is_fault and case.way == "alone" and case.surface.is_native:
            assert not may_answer
        assert allowed_outcomes(case)
        assert "torn" not in allowed_outcomes(case)


def test_every_fault_is_tried_on_every_surface():
    for row in ROWS:
        tried = {case.surface.name for case in cases_of(row, SURFACES)}
        assert tried == {surface.name for surface in SURFACES}
