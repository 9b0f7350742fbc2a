import uuid

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_proxy.telemetry import CONTENT_TYPE, Metrics
from llm_proxy.types import Usage

USAGE = Usage(input_tokens=10, output_tokens=5, source="provider")


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def call(metrics: Metrics, model: str = "gpt-4", ok: bool = True) -> None:
    metrics.call_started()
    metrics.observe_call(
        provider="openai", model=model, ok=ok, seconds=2.0, usage=USAGE
    )


def test_calls_are_counted_by_status():
    metrics = Metrics()
    model = {"provider": "openai", "model": "gpt-4"}

    call(metrics)
    call(metrics)
    call(metrics, ok=False)

    assert value(metrics, "llm_queries_total", status="success", **model) == 2
    assert value(metrics, "llm_queries_total", status="error", **model) == 1
    assert value(metrics, "llm_query_latency_seconds_count", **model) == 3
    assert value(metrics, "llm_query_latency_seconds_sum", **model) == 6
    assert value(metrics, "llm_tokens_total", type="prompt", **model) == 30
    assert value(metrics, "llm_tokens_total", type="completion", **model) == 15


def test_costs_are_dollars():
    metrics = Metrics()
    for nanos in (1_500_000_000, 250, 0):
        metrics.observe_cost("openai", "gpt-4", nanos)

    labels = {"provider": "openai", "model": "gpt-4"}
    assert value(metrics, "llm_cost_dollars_total", **labels) == 1.50000025


def test_random_models_do_not_add_series():
    metrics = Metrics(max_models=10)
    for number in range(10):
        call(metrics, f"model-{number}")
    call(metrics, "one more")
    before = len(samples(metrics))

    for _ in range(1000):
        call(metrics, uuid.uuid4().hex)
    call(metrics, "model-3")

    assert len(samples(metrics)) == before
    other = {"provider": "other", "model": "other"}
    known = {"provider": "openai", "model": "model-3"}
    assert value(metrics, "llm_queries_total", status="success", **other) == 1001
    assert value(metrics, "llm_queries_total", status="success", **known) == 2


def test_model_names_cannot_break_the_format():
    metrics = Metrics()
    model = 'a"} 1\nforged_total{x="\\'

    call(metrics, model)

    labels = {"provider": "openai", "model": model}
    assert value(metrics, "llm_queries_total", status="success", **labels) == 1
    assert value(metrics, "forged_total") is None


@pytest.mark.parametrize("ok", [True, False])
def test_active_requests_are_those_that_have_not_ended(ok):
    metrics = Metrics()

    metrics.call_started()
    call(metrics, ok=ok)

    assert value(metrics, "llm_active_requests") == 1


def test_http_requests_are_counted_by_route_method_and_status():
    metrics = Metrics()

    metrics.observe_http("/chat", "POST", 200, 0.5)
    metrics.observe_http("/chat", "POST", 200, 0.5)
    metrics.observe_http("/chat", "POST", 502, 1.0)

    labels = {"route": "/chat", "method": "POST"}
    assert value(metrics, "http_requests_total", status="200", **labels) == 2
    assert value(metrics, "http_requests_total", status="502", **labels) == 1
    assert value(metrics, "http_request_duration_seconds_sum", route="/chat") == 2


def test_unknown_methods_share_one_series():
    metrics = Metrics()

    metrics.observe_http("/chat", "BREW", 405, 0.1)
    metrics.observe_http("/chat", "get", 405, 0.1)

    labels = {"route": "/chat", "method": "OTHER", "status": "405"}
    assert value(metrics, "http_requests_total", **labels) == 2


def test_errors_and_redactions_are_counted():
    metrics = Metrics()

    metrics.observe_error("LLM_TIMEOUT")
    metrics.observe_pii(["email", "phone"])
    metrics.observe_pii(("email",))

    assert value(metrics, "llm_errors_total", code="LLM_TIMEOUT") == 1
    assert value(metrics, "llm_pii_redactions_total", kind="email") == 2
    assert value(metrics, "llm_pii_redactions_total", kind="phone") == 1


def test_two_applications_share_nothing():
    first, second = Metrics(), Metrics()

    first.observe_error("LLM_TIMEOUT")

    assert value(second, "llm_errors_total", code="LLM_TIMEOUT") is None


def test_process_and_platform_are_observable():
    names = {name for name, _ in samples(Metrics())}

    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names
    assert "python_info" in names


def test_content_type_is_the_text_format():
    assert CONTENT_TYPE.startswith("text/plain; version=")
