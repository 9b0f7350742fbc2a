"""What tests of virtual keys share: one with everything, and every kind of term."""

import time
from ipaddress import ip_network

from hypothesis import strategies as st

from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import ROLES, Allowance, Budget

FULL = VirtualKey(
    name="Rötliches Team für alles",
    organisation="acme",
    team="red",
    owner="anna@example.com",
    project="sheets",
    tags=("beta", "wichtig"),
    role="operator",
    scopes=frozenset(("models:call", "keys:read")),
    models=("gpt-4*", "anthropic/claude-sonnet-4-5"),
    surfaces=frozenset(("openai", "chat")),
    networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
    allowance=Allowance(60, 100_000, 4, (Budget("month", 20 * 10**9, 0.5),)),
    created_by="root",
    created_at=1_795_000_000.123,
    expires_at=4_000_000_000.5,
)


def key(**fields: object) -> VirtualKey:
    return VirtualKey(**{"name": "test", "created_by": "root", **fields})


def soon(seconds: float = 3600) -> float:
    return round(time.time() + seconds, 3)


words = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/"))
counts = st.none() | st.integers(1, 2**53)
budgets = st.builds(
    Budget,
    st.sampled_from(("day", "month", "total")),
    st.integers(0, 2**53),
    st.floats(0, 1),
)
allowances = st.builds(
    Allowance,
    counts,
    counts,
    counts,
    st.lists(budgets, unique_by=lambda budget: budget.period).map(tuple),
)
networks = st.builds(
    lambda address, bits: ip_network((address, bits), strict=False),
    st.ip_addresses(v=4),
    st.integers(0, 32),
) | st.builds(
    lambda address, bits: ip_network((address, bits), strict=False),
    st.ip_addresses(v=6),
    st.integers(0, 128),
)
keys = st.builds(
    VirtualKey,
    name=words.filter(bool),
    organisation=words,
    team=words,
    owner=words,
    project=words,
    tags=st.lists(words.filter(bool), max_size=3).map(tuple),
    role=st.just("admin"),
    scopes=st.none() | st.frozensets(st.sampled_from(sorted(ROLES["admin"]))),
    models=st.none() | st.lists(words.filter(bool), max_size=3).map(tuple),
    surfaces=st.none()
    | st.frozensets(st.sampled_from(("chat", "webhook", "openai", "anthropic"))),
    networks=st.lists(networks, max_size=3).map(tuple),
    allowance=allowances,
    created_by=words,
    created_at=st.integers(10**12, 2 * 10**12).map(lambda ms: ms / 1000),
    expires_at=st.none()
    | st.integers(2 * 10**12 + 1, 10**14).map(lambda ms: ms / 1000),
)
