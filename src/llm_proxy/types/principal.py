"""Who is calling."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling.

    Attributes:
        name: The name the operator gave to the token; it appears in logs and limits.
    """

    name: str
