"""The tables, as all databases have them.

Moments are milliseconds since 1970, money is nano-dollars: whole numbers, which every
database adds up without a rounding error.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

# One row per attempt that has reached an upstream; rows are added and never changed.
ledger = sa.Table(
    "ledger",
    metadata,
    # Made by us, so that a row that is written twice is one row.
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("request_id", sa.String(128), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("feature", sa.String(64), nullable=False),
    sa.Column("asked_model", sa.String(512), nullable=False),
    sa.Column("provider", sa.String(255), nullable=False),
    sa.Column("model", sa.String(512), nullable=False),
    sa.Column("answered_model", sa.String(512)),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
    sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
    sa.Column("usage_source", sa.String(16), nullable=False),
    sa.Column("cost_nanos", sa.BigInteger, nullable=False),
    sa.Column("cost_source", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("first_token_seconds", sa.Float),
)
sa.Index("ledger_at_ms", ledger.c.at_ms)
sa.Index("ledger_principal_at_ms", ledger.c.principal, ledger.c.at_ms)
