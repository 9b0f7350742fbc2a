"""Which limits bound a call, and what it takes from each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from llm_proxy.config import AllowanceConfig, LimitsConfig
from llm_proxy.limits.claim import Claim, Kind
from llm_proxy.types import Allowance, Period, Principal, Subject, SubjectKind

_MAX_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Term:
    """One limit that bounds a call.

    Attributes:
        subject: Whose limit it is.
        kind: Of what.
        limit: Requests or tokens in any 60 seconds, calls at the same time, or
            billionths of a US dollar in the period.
        period: Of money only.
        warn_at: Of money only: the share of the limit from which on to warn.
    """

    subject: Subject
    kind: Kind
    limit: int
    period: Period | None = None
    warn_at: float = 1.0


class Terms:
    """Finds the limits of a call: the caller's own, and those of llm-proxy.yaml.

    Models are found by their names in any case, as they are for prices.

    Args:
        config: How much users, teams, organisations and models may use. What stands
            before the first ``/`` of a user's or a team's name is the organisation.
        requests_per_minute: Of callers that have no such limit of their own; None
            where each process counts that for itself.
    """

    def __init__(
        self, config: LimitsConfig, requests_per_minute: int | None = None
    ) -> None:
        self._requests_per_minute = requests_per_minute
        self._allowances: dict[Subject, Allowance] = dict(
            (
                *_members("user", config.users),
                *_members("team", config.teams),
                *_named("organisation", config.organisations),
                *_named("model", config.models),
            )
        )
        self._models = {name.lower(): Subject("model", name) for name in config.models}
        self._of = lru_cache(_MAX_KEPT)(self._collect)

    def of(self, principal: Principal, models: Sequence[str]) -> tuple[Term, ...]:
        """Find all limits that bound a call.

        Args:
            principal: Who calls.
            models: All names of the model, and that of the provider who is asked first,
                with the provider in front.

        Returns:
            The limits, each once.
        """
        return self._of(principal, tuple(models))

    def _collect(
        self, principal: Principal, models: tuple[str, ...]
    ) -> tuple[Term, ...]:
        lowered = (name.lower() for name in models)
        named = (self._models[name] for name in lowered if name in self._models)
        own = principal.allowance
        if own.requests_per_minute is None:
            own = replace(own, requests_per_minute=self._requests_per_minute)
        bounds = [(Subject("key", principal.name), own)]
        for subject in dict.fromkeys((*principal.subjects, *named)):
            if subject in self._allowances:
                bounds.append((subject, self._allowances[subject]))
        return tuple(term for bound in bounds for term in _terms(*bound))


def claims_of(
    terms: Sequence[Term], tokens: int, nanos: int, now: datetime
) -> tuple[Claim, ...]:
    """Say what a call takes from its limits.

    Args:
        terms: The limits.
        tokens: How many it needs at most.
        nanos: What it costs at most, in billionths of a US dollar.
        now: Decides which day and month it counts for, in UTC. A call that ends on the
            next day counts for the one on which it has begun.

    Returns:
        One claim for each limit, in their order.
    """
    day = now.astimezone(UTC).date().isoformat()
    periods = {None: "", "day": day, "month": day[:7], "total": "total"}
    amounts: Mapping[Kind, int] = {
        "requests": 1,
        "tokens": tokens,
        "concurrent": 1,
        "money": nanos,
    }
    return tuple(
        Claim(
            term.subject,
            term.kind,
            term.limit,
            amounts[term.kind],
            periods[term.period],
            term.warn_at,
        )
        for term in terms
    )


def _named(
    kind: SubjectKind, configs: Mapping[str, AllowanceConfig]
) -> Iterator[tuple[Subject, Allowance]]:
    for name, config in configs.items():
        yield Subject(kind, name), config.allowance


def _members(
    kind: SubjectKind, configs: Mapping[str, AllowanceConfig]
) -> Iterator[tuple[Subject, Allowance]]:
    for path, config in configs.items():
        organisation, slash, name = path.partition("/")
        subject = (
            Subject(kind, name, organisation) if slash else Subject(kind, organisation)
        )
        yield subject, config.allowance


def _terms(subject: Subject, allowance: Allowance) -> Iterator[Term]:
    rates: tuple[tuple[Kind, int | None], ...] = (
        ("requests", allowance.requests_per_minute),
        ("tokens", allowance.tokens_per_minute),
        ("concurrent", allowance.concurrent_requests),
    )
    for kind, limit in rates:
        if limit is not None:
            yield Term(subject, kind, limit)
    for budget in allowance.budgets:
        yield Term(subject, "money", budget.nanos, budget.period, budget.warn_at)
