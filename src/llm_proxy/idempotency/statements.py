"""What the database is told about claims and answers.

Of two transactions that wait for each other Postgres ends one. So that none have to,
everybody locks rows in the order of their keys.
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from llm_proxy.idempotency.store import LEASE_SECONDS, Claim
from llm_proxy.storage.tables import idempotency

_row = idempotency.c
_LEASE_MS = round(LEASE_SECONDS * 1000)
_keys = _row.id.in_(sa.bindparam("keys", expanding=True))
_now_ms: sa.BindParameter[int] = sa.bindparam("now_ms")


def _taking(insert: Any) -> sa.Insert:  # noqa: ANN401 - there is one in each dialect
    new = insert.excluded
    # The new claim lasts this long from here on.
    is_expired = _row.expires_ms <= new.expires_ms - _LEASE_MS
    values = {each.name: each for each in new if each.name != "id"}
    statement: sa.Insert = insert.on_conflict_do_update(
        index_elements=[_row.id], set_=values, where=is_expired
    ).returning(_row.claim)
    return statement


# Write claims where there are none, or such as have expired: takes rows in the order of
# their keys, one of each, and gives the ids of the claims that are written.
TAKE_IN_SQLITE = _taking(sqlite.insert(idempotency))
TAKE_IN_POSTGRES = _taking(postgresql.insert(idempotency))

# Delete some of what has expired, and leave alone what others are at.
FORGET = sa.delete(idempotency).where(
    _row.id.in_(
        sa.select(_row.id)
        .where(_row.expires_ms <= _now_ms)
        .order_by(_row.expires_ms)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
    )
)

# Find the claims that are neither lost nor answered, and keep them so; gives their ids.
FIND_STANDING = (
    sa.select(_row.claim)
    # The keys are for the index; no two claims have the same id.
    .where(_keys, _row.claim.in_(sa.bindparam("ids", expanding=True)))
    .where(_row.status.is_(None))
    .order_by(_row.id)
    .with_for_update()
)
_standing = _row.id.in_(FIND_STANDING.with_only_columns(_row.id))

# Let claims that stand last until ``expires``; gives their ids.
RENEW = (
    sa.update(idempotency)
    .where(_standing)
    .values(expires_ms=sa.bindparam("expires"))
    .returning(_row.claim)
)

# Delete claims that stand; answers stay.
GIVE_UP = sa.delete(idempotency).where(_standing)

# Put an answer in the place of a claim that stands: takes ``key`` and what it has.
SAVE = (
    sa.update(idempotency)
    .where(_row.id == sa.bindparam("key", type_=sa.String))
    .values(
        {name: sa.bindparam(name) for name in ("status", "headers", "body")}
        | {"expires_ms": sa.bindparam("expires")}
    )
)

# Find what has become of keys.
FIND = sa.select(_row.id, _row.request, _row.status, _row.headers, _row.body).where(
    _keys
)


def named(claims: Collection[Claim]) -> dict[str, list[str]]:
    """Say which claims a statement is about.

    Args:
        claims: Ten thousand at most; statements take 32,766 values.

    Returns:
        Its parameters.
    """
    return {
        "keys": list({claim.key for claim in claims}),
        "ids": [claim.id for claim in claims],
    }
