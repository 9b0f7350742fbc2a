"""How much somebody may use, and of whom that is said."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Period = Literal["day", "month", "total"]
SubjectKind = Literal["key", "user", "team", "organisation", "model"]


class Subject(NamedTuple):
    """Somebody, or something, whose use is counted.

    Attributes:
        kind: What it is.
        name: Its name; of a key its id.
        organisation: Where a user or a team belongs; names of one organisation mean
            nothing in another. May be empty.
    """

    kind: SubjectKind
    name: str
    organisation: str = ""

    def __str__(self) -> str:
        within = f"{self.organisation}/" if self.organisation else ""
        return f"{self.kind}:{within}{self.name}"


@dataclass(frozen=True, slots=True)
class Budget:
    """Money that may be spent in a period.

    Attributes:
        period: Calendar days and months are those of UTC; ``total`` is for ever.
        nanos: Billionths of a US dollar.
        warn_at: The share of it from which on operators and callers are warned.
    """

    period: Period
    nanos: int
    warn_at: float = 0.8


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much somebody may use; None and no budget are without a bound.

    Attributes:
        requests_per_minute: Calls to models.
        tokens_per_minute: Input and output tokens together.
        concurrent_requests: Calls at the same time.
        budgets: Money, at most one budget for a period.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    budgets: tuple[Budget, ...] = ()


UNBOUNDED = Allowance()
