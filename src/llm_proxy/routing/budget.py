"""How many retries an upstream is given."""

_CAPACITY = 50.0
_REWARD = 0.1
# Providers are few, but nothing here should grow without bound.
_MAX_KEPT = 1024


class RetryBudget:
    """A token bucket per upstream, so that retries do not make an outage worse.

    A retry takes a token and gives it back if it succeeds; each success adds a tenth
    of one. While an upstream answers, retries are free; while it does not, they end
    after `capacity`, and stay at a tenth of what succeeds. AWS SDKs, "Retry behavior",
    standard mode.

    Args:
        capacity: Tokens of a full bucket.
    """

    def __init__(self, capacity: float = _CAPACITY) -> None:
        self._capacity = capacity
        self._spent: dict[str, float] = {}

    def left(self, upstream: str) -> float:
        """Say how many retries an upstream may get in a row.

        Args:
            upstream: A provider's name.

        Returns:
            Its tokens.
        """
        return self._capacity - self._spent.get(upstream, 0.0)

    def take(self, upstream: str) -> bool:
        """Take the token of one retry.

        Args:
            upstream: A provider's name.

        Returns:
            Whether there was one.
        """
        if self.left(upstream) < 1.0:
            return False
        if upstream not in self._spent and len(self._spent) >= _MAX_KEPT:
            del self._spent[next(iter(self._spent))]
        self._spent[upstream] = self._spent.get(upstream, 0.0) + 1.0
        return True

    def succeeded(self, upstream: str, was_retry: bool) -> None:
        """Reward an upstream that answers.

        Args:
            upstream: A provider's name.
            was_retry: Whether the answer had taken a token.
        """
        # Empty as long as nobody had to retry.
        if not self._spent or upstream not in self._spent:
            return
        spent = self._spent[upstream] - (1.0 if was_retry else _REWARD)
        if spent > 0:
            self._spent[upstream] = spent
        else:
            del self._spent[upstream]
