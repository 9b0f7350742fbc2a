"""How much users, teams, organisations and models may use, in llm-proxy.yaml."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from llm_proxy.config.prices import Dollars
from llm_proxy.config.values import NullIsEmpty, Section, Share
from llm_proxy.types import Allowance, Budget

_WARN_AT = 0.8
_Count = Annotated[int, Field(ge=1, le=2**53, strict=True)]


def _check_countable(dollars: Decimal) -> Decimal:
    if dollars and not _nanos(dollars):
        raise ValueError("must be 0 or at least 0.000000001 dollars")
    return dollars


_Money = Annotated[Dollars, AfterValidator(_check_countable)]


class BudgetsConfig(Section):
    """Money, in US dollars, by calendar day and month of UTC, and for ever.

    Attributes:
        day: For a day.
        month: For a month.
        total: For ever.
        warn_at: The share of each from which on callers and operators are warned; 0.8
            unless given.
    """

    day: _Money | None = None
    month: _Money | None = None
    total: _Money | None = None
    warn_at: Share | None = None

    @field_validator("warn_at")
    @classmethod
    def _warns_of_something(
        cls, share: float | None, info: ValidationInfo
    ) -> float | None:
        # What is wrong is not among the data, and is told by itself.
        if share is not None and all(
            info.data.get(name, share) is None for name in ("day", "month", "total")
        ):
            raise ValueError("must come with a budget: day, month or total")
        return share


class AllowanceConfig(Section):
    """How much somebody may use; what is left out is without a bound.

    Attributes:
        requests_per_minute: Calls to models.
        tokens_per_minute: Input and output tokens together.
        concurrent_requests: Calls at the same time.
        budgets: Money.
    """

    requests_per_minute: _Count | None = None
    tokens_per_minute: _Count | None = None
    concurrent_requests: _Count | None = None
    budgets: BudgetsConfig = BudgetsConfig()

    @property
    def allowance(self) -> Allowance:
        """The same as the value that limits are made of."""
        budgets = self.budgets
        warn_at = _WARN_AT if budgets.warn_at is None else budgets.warn_at
        given = (
            ("day", budgets.day),
            ("month", budgets.month),
            ("total", budgets.total),
        )
        return Allowance(
            self.requests_per_minute,
            self.tokens_per_minute,
            self.concurrent_requests,
            tuple(
                Budget(period, _nanos(dollars), warn_at)  # type: ignore[arg-type]
                for period, dollars in given
                if dollars is not None
            ),
        )


class LimitsConfig(Section):
    """Whose use is bounded, besides that of keys, which have bounds of their own.

    Attributes:
        users: By name, as ``organisation/user`` for those of an organisation.
        teams: By name, as ``organisation/team`` for those of an organisation.
        organisations: By name.
        models: By the name that callers use.
    """

    users: Annotated[Mapping[str, AllowanceConfig], NullIsEmpty] = {}
    teams: Annotated[Mapping[str, AllowanceConfig], NullIsEmpty] = {}
    organisations: Annotated[Mapping[str, AllowanceConfig], NullIsEmpty] = {}
    models: Annotated[Mapping[str, AllowanceConfig], NullIsEmpty] = {}

    @property
    def has_budgets(self) -> bool:
        """Whether any of them bounds money."""
        sections = (self.users, self.teams, self.organisations, self.models)
        return any(
            each.allowance.budgets for section in sections for each in section.values()
        )


def _nanos(dollars: Decimal) -> int:
    return int(dollars.scaleb(9))
