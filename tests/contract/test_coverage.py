"""Whether there are recordings of everything that a contract demands."""

import pytest
from tests.contract.exchanges import FIXTURES, contracts

from llm_proxy.providers.factory import PROVIDERS

EXCHANGES = ("text", "tools")
FAILURES = {
    "context-length",
    "error-first",
    "error-midway",
    "forbidden",
    "invalid-request",
    "rate-limited",
    "server-error",
    "unavailable",
    "unknown-model",
    "wrong-key",
}


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_has_recordings(provider):
    known = {contract.provider for contract in contracts()}

    assert provider in known, (
        f"The provider {provider!r} has no recorded exchanges: add "
        f"tests/contract/fixtures/{provider}/provider.json (README.md says how)"
    )


@pytest.mark.parametrize("contract", contracts(), ids=lambda each: each.name)
def test_every_recording_is_of_a_provider(contract):
    assert contract.provider in PROVIDERS


@pytest.mark.parametrize("contract", contracts(), ids=lambda each: each.name)
def test_success_tools_stream_and_each_error_are_recorded(contract):
    recorded = {
        (exchange.name, stream)
        for exchange in contract.exchanges
        for stream in (False, True)
        if exchange.response(stream=stream) is not None
    }
    demanded = {(name, stream) for name in EXCHANGES for stream in (False, True)}

    assert demanded - recorded == set()
    assert FAILURES - {failure.name for failure in contract.failures} == set()


def test_every_recorded_failure_is_expected():
    for contract in contracts():
        expected = {f"{failure.name}.http" for failure in contract.failures}
        recorded = {
            file.name for file in FIXTURES.glob(f"{contract.name}/errors/*.http")
        }
        assert recorded - expected == set()
