"""Prometheus metrics, with a bounded number of series whatever callers send."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from llm_proxy.types import Usage

CONTENT_TYPE = CONTENT_TYPE_LATEST

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER_PAIR = ("other", "other")
# Seconds: from a cached answer to a long reasoning stream.
_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class _RouteSeries:
    """The series of one route, method and status."""

    requests: Counter
    seconds: Histogram


@dataclass(frozen=True, slots=True)
class _ModelSeries:
    """The series of one provider and model."""

    successes: Counter
    errors: Counter
    seconds: Histogram
    prompt_tokens: Counter
    completion_tokens: Counter
    dollars: Counter


class Metrics:
    """Counts what one application does, on a registry of its own.

    Series are kept in plain dicts: prometheus_client looks one up under a lock and
    with string conversions, which costs more than the count itself.

    Args:
        max_models: How many pairs of provider and model get series of their own. The
            model is the caller's word, so later pairs are counted as ``other``.
    """

    def __init__(self, max_models: int = 200) -> None:
        self._max_models = max_models
        self._routes: dict[tuple[str, str, int], _RouteSeries] = {}
        self._models: dict[tuple[str, str], _ModelSeries] = {}
        self._tried: dict[tuple[str, str], Counter] = {}
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._declare_calls(registry)
        self._declare_llm(registry)
        self._http_requests = Counter(
            "http_requests_total",
            "HTTP requests answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._http_seconds = Histogram(
            "http_request_duration_seconds",
            "Time from the request's head to the end of the answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )

    def _declare_calls(self, registry: CollectorRegistry) -> None:
        model = ("provider", "model")
        self._queries = Counter(
            "llm_queries_total",
            "Calls to language models.",
            ("status", *model),
            registry=registry,
        )
        self._query_seconds = Histogram(
            "llm_query_latency_seconds",
            "Time a call to a language model took, retries included.",
            model,
            buckets=_BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "llm_tokens_total",
            "Tokens as providers reported them.",
            (*model, "type"),
            registry=registry,
        )
        self._cost = Counter(
            "llm_cost_dollars_total",
            "What calls have cost in US dollars, as far as prices are known.",
            model,
            registry=registry,
        )

    def _declare_llm(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "llm_attempts_total",
            "Deployments' parts in calls: answered, failed, abandoned, passed_over.",
            ("provider", "outcome"),
            registry=registry,
        )
        self._active_requests = Gauge(
            "llm_active_requests",
            "Calls to language models under way.",
            registry=registry,
        )
        self._cached = Counter(
            "llm_cache_requests_total",
            "What the cache said: hit, semantic, miss, bypass or flight.",
            ("result",),
            registry=registry,
        )
        self._errors = Counter(
            "llm_errors_total",
            "Errors told to callers, by error code.",
            ("code",),
            registry=registry,
        )
        self._pii = Counter(
            "llm_pii_redactions_total",
            "Prompts from which personal data was removed, by kind of data.",
            ("kind",),
            registry=registry,
        )

    def observe_http(
        self, route: str, method: str, status: int, seconds: float
    ) -> None:
        """Count one answered HTTP request.

        Args:
            route: The route's template, never the path that was asked for.
            method: As sent; unknown ones are counted as ``OTHER``.
            status: The status that was answered.
            seconds: Time until the end of the answer.
        """
        key = (route, method if method in _METHODS else "OTHER", status)
        series = self._routes.get(key)
        if series is None:
            series = self._routes[key] = _RouteSeries(
                self._http_requests.labels(*key), self._http_seconds.labels(route)
            )
        series.requests.inc()
        series.seconds.observe(seconds)

    def observe_call(
        self, *, provider: str, model: str, ok: bool, seconds: float, usage: Usage
    ) -> None:
        """Count one call to a language model that was under way and has ended.

        Args:
            provider: The provider that was asked.
            model: The model as the caller named it.
            ok: Whether an answer came.
            seconds: Time the call took, retries included.
            usage: The tokens it cost.
        """
        self._active_requests.dec()
        series = self._model_series((provider, model))
        (series.successes if ok else series.errors).inc()
        series.seconds.observe(seconds)
        series.prompt_tokens.inc(usage.input_tokens)
        series.completion_tokens.inc(usage.output_tokens)

    def observe_cost(self, provider: str, model: str, nanos: int) -> None:
        """Add what one attempt has cost.

        Args:
            provider: The provider that was asked.
            model: The provider's name of the model.
            nanos: Billionths of a US dollar.
        """
        self._model_series((provider, model)).dollars.inc(nanos / 1e9)

    def _model_series(self, pair: tuple[str, str]) -> _ModelSeries:
        if pair not in self._models and len(self._models) >= self._max_models:
            pair = _OTHER_PAIR
        if pair not in self._models:
            self._models[pair] = _ModelSeries(
                successes=self._queries.labels("success", *pair),
                errors=self._queries.labels("error", *pair),
                seconds=self._query_seconds.labels(*pair),
                prompt_tokens=self._tokens.labels(*pair, "prompt"),
                completion_tokens=self._tokens.labels(*pair, "completion"),
                dollars=self._cost.labels(*pair),
            )
        return self._models[pair]

    def call_started(self) -> None:
        """Count a call as under way, until `observe_call` is told of its end."""
        self._active_requests.inc()

    def observe_attempt(self, provider: str, outcome: str) -> None:
        """Count one deployment's part in a call.

        Args:
            provider: The provider, of which there are as many as the operator has set
                up.
            outcome: What became of it.
        """
        series = self._tried.get((provider, outcome))
        if series is None:
            series = self._attempts.labels(provider, outcome)
            self._tried[provider, outcome] = series
        series.inc()

    def observe_cache(self, result: str) -> None:
        """Count one call that the cache was asked about.

        Args:
            result: What it has said.
        """
        self._cached.labels(result).inc()

    def observe_error(self, code: str) -> None:
        """Count one error that a caller was told.

        Args:
            code: The error class's code.
        """
        self._errors.labels(code).inc()

    def observe_pii(self, kinds: Iterable[str]) -> None:
        """Count the kinds of personal data removed from one prompt.

        Args:
            kinds: Names of kinds, each once.
        """
        for kind in kinds:
            self._pii.labels(kind).inc()

    def render(self) -> bytes:
        """Write all metrics in Prometheus' text format.

        Returns:
            The body to send as `CONTENT_TYPE`.
        """
        return generate_latest(self._registry)
