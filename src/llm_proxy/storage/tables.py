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
    sa.Column(
        "organisation", sa.String(255), nullable=False, server_default=sa.text("''")
    ),
    sa.Column("team", sa.String(255), nullable=False, server_default=sa.text("''")),
    sa.Column("owner", sa.String(255), nullable=False, server_default=sa.text("''")),
    # Whom the caller asks for, by the caller's own word.
    sa.Column("user_id", sa.String(255), nullable=False, server_default=sa.text("''")),
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
    # The prices behind the cost, as JSON: dollars per million tokens, by kind of token.
    sa.Column("price", sa.String(255), nullable=False, server_default=sa.text("''")),
    sa.Column("cache", sa.String(16), nullable=False, server_default=sa.text("''")),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("first_token_seconds", sa.Float),
)
# Money that is set aside for calls under way, one row per call that some budget bounds.
# A call that its process has not survived stays here for good, as ``lost``: nobody
# knows what it has cost, so that budgets count all that was set aside.
reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("process", sa.String(36), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("principal", sa.String(255), nullable=False),
    sa.Column("organisation", sa.String(255), nullable=False),
    sa.Column("team", sa.String(255), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("asked_model", sa.String(512), nullable=False),
    sa.Column("nanos", sa.BigInteger, nullable=False),
)

virtual_keys = sa.Table(
    "virtual_keys",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("organisation", sa.String(255), nullable=False),
    sa.Column("team", sa.String(255), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("project", sa.String(255), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    # All that a key may do and use, as JSON: tags, scopes, models, surfaces, networks,
    # allowance.
    sa.Column("terms", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("expires_ms", sa.BigInteger),
    sa.Column("revoked_ms", sa.BigInteger),
    # Processes that know the key look here for what has changed.
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
)

# A key that is rotated has two for a while.
key_secrets = sa.Table(
    "key_secrets",
    metadata,
    # HMAC-SHA256 of the secret, in hexadecimal.
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column(
        "key_id", sa.String(36), sa.ForeignKey("virtual_keys.id"), nullable=False
    ),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger),
)

# Rows are added and never changed, which triggers see to.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("client_ip", sa.String(64), nullable=False),
    sa.Column("request_id", sa.String(128), nullable=False),
)

# Answers to requests with an ``Idempotency-Key``.
idempotency = sa.Table(
    "idempotency",
    metadata,
    # A hash of the caller, the route and the key.
    sa.Column("id", sa.String(64), primary_key=True),
    # A hash of the request.
    sa.Column("request", sa.String(64), nullable=False),
    # Whose attempt it is; another process may take over what has expired.
    sa.Column("claim", sa.String(36), nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    # Null while the first request is under way.
    sa.Column("status", sa.Integer),
    sa.Column("headers", sa.Text),
    sa.Column("body", sa.LargeBinary),
)

sa.Index("reservations_process", reservations.c.process)
sa.Index("virtual_keys_changed_ms", virtual_keys.c.changed_ms)
sa.Index("virtual_keys_organisation", virtual_keys.c.organisation, virtual_keys.c.team)
sa.Index("key_secrets_key_id", key_secrets.c.key_id)
sa.Index("audit_at_ms", audit.c.at_ms)
sa.Index("idempotency_expires_ms", idempotency.c.expires_ms)
# Of what budgets may be asked about; rows without a name need no place in them.
for _name in ("organisation", "team", "owner"):
    _column = ledger.c[_name]
    sa.Index(
        f"ledger_{_name}_at_ms",
        _column,
        ledger.c.at_ms,
        sqlite_where=_column != "",
        postgresql_where=_column != "",
    )
sa.Index("ledger_at_ms", ledger.c.at_ms)
sa.Index("ledger_principal_at_ms", ledger.c.principal, ledger.c.at_ms)
