"""Virtual keys over HTTP: made, listed, changed, rotated and revoked."""

from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import Request, Response

from llm_proxy.api.admission import admit
from llm_proxy.api.audit import actor_of, recorded_refusals
from llm_proxy.api.body import read_model
from llm_proxy.api.key_schemas import (
    KeyBody,
    KeyChangesBody,
    KeysParameters,
    RotateBody,
)
from llm_proxy.api.management import read_optional_model, read_query
from llm_proxy.api.response import json_response
from llm_proxy.errors import NotFoundError
from llm_proxy.ledger.budgets import spending
from llm_proxy.security.granting import may_grant, may_revoke, may_see, seen_by
from llm_proxy.security.key_queries import find_older_secrets_end
from llm_proxy.security.key_rows import describe, write_moment
from llm_proxy.security.key_store import KeyFilter, KeyStore
from llm_proxy.security.virtual_key import VirtualKey
from llm_proxy.types import Principal

_CREATED = 201


async def create_key(request: Request) -> Response:
    """Make a key; its secret is in this answer and never in another."""
    async with recorded_refusals(request, "key.create"):
        caller = await admit(request, "api")
        store = _store(request)
        key = _new_key(await read_model(request, KeyBody), caller)
        may_grant(caller, key)
    secret = await store.create(key, actor_of(request))
    answer = _answer(request, describe(key) | {"secret": secret})
    answer.status_code = _CREATED
    answer.headers["location"] = f"/api/v1/keys/{key.id}"
    return answer


async def list_keys(request: Request) -> Response:
    """List keys, of which callers see their own."""
    async with recorded_refusals(request, "key.list"):
        caller = await admit(request, "api")
    store = _store(request)
    wanted = read_query(request, KeysParameters)
    bounds = seen_by(caller)
    asked = wanted.model_dump(exclude={"after", "limit"}, exclude_none=True)
    found: list[VirtualKey] = []
    if all(asked.get(field, value) == value for field, value in bounds.items()):
        only = KeyFilter(**asked | bounds)
        found = await store.list_keys(only, wanted.after, wanted.limit + 1)
    page = found[: wanted.limit]
    following = page[-1].id if len(found) > len(page) else None
    return _answer(request, [describe(key) for key in page], next=following)


async def show_key(request: Request) -> Response:
    """Show a key, without its secret, and what it has spent of its budgets."""
    async with recorded_refusals(request, "key.read", request.path_params["id"]):
        caller = await admit(request, "api")
    key = await _find_key(request, _store(request), caller)
    return await _answer_shown(request, key)


async def show_own_key(request: Request) -> Response:
    """Show callers the key that they use, and what it has spent of its budgets."""
    async with recorded_refusals(request, "key.read"):
        caller = await admit(request, "api")
    key = await _store(request).get(caller.name)
    if key is None:
        raise NotFoundError("You do not use a virtual key")
    return await _answer_shown(request, key)


async def update_key(request: Request) -> Response:
    """Change what a key may do, for how long and how much; whose it is stays."""
    async with recorded_refusals(request, "key.update", request.path_params["id"]):
        caller = await admit(request, "api")
        store = _store(request)
        body = await read_model(request, KeyChangesBody)
        terms = _read_terms(body)
        changes = {name: terms[name] for name in body.model_fields_set}
        key = await _find_key(request, store, caller)
        may_grant(caller, replace(key, **changes))
    change = partial(replace, **changes)
    changed = await store.update(key.id, change, actor_of(request))
    return _answer(request, describe(changed))


async def rotate_key(request: Request) -> Response:
    """Give a key another secret; the one before it stays valid for a while."""
    async with recorded_refusals(request, "key.rotate", request.path_params["id"]):
        caller = await admit(request, "api")
        store = _store(request)
        body = await read_optional_model(request, RotateBody)
        key = await _find_key(request, store, caller)
        may_grant(caller, key)
    secret = await store.rotate(key.id, body.overlap_seconds, actor_of(request))
    return _answer(request, describe(key) | {"secret": secret})


async def revoke_key(request: Request) -> Response:
    """End a key for good; one that is revoked stays as it is."""
    async with recorded_refusals(request, "key.revoke", request.path_params["id"]):
        caller = await admit(request, "api")
        store = _store(request)
        key = await _find_key(request, store, caller)
        may_revoke(caller, key)
    return _answer(request, describe(await store.revoke(key.id, actor_of(request))))


def _store(request: Request) -> KeyStore:
    store: KeyStore | None = request.app.state.keys
    if store is None:
        has_database = request.app.state.books is not None
        missing = "KEY_PEPPER is not set" if has_database else "DATABASE_URL is off"
        raise NotFoundError(f"There are no keys: {missing}")
    return store


def _new_key(body: KeyBody, maker: Principal) -> VirtualKey:
    organisation, team = body.organisation, body.team
    return VirtualKey(
        organisation=maker.organisation if organisation is None else organisation,
        team=maker.team if team is None else team,
        owner=body.owner,
        role=body.role,
        scopes=None if body.scopes is None else frozenset(body.scopes),
        created_by=maker.name,
        **_read_terms(body),
    )


def _read_terms(body: KeyBody | KeyChangesBody) -> dict[str, Any]:
    """Read what may be said of a key more than once, as fields of a `VirtualKey`."""
    expiry = body.expires_at
    return {
        "name": body.name,
        "project": body.project,
        "tags": tuple(body.tags),
        "models": None if body.models is None else tuple(body.models),
        "surfaces": None if body.surfaces is None else frozenset(body.surfaces),
        "networks": tuple(body.networks),
        "allowance": body.allowance.allowance,
        "expires_at": None if expiry is None else expiry.timestamp(),
    }


async def _find_key(request: Request, store: KeyStore, caller: Principal) -> VirtualKey:
    key = await store.get(request.path_params["id"])
    # That there is a key is no business of others either.
    if key is None or not may_see(caller, key):
        raise NotFoundError("There is no such key")
    return key


async def _answer_shown(request: Request, key: VirtualKey) -> Response:
    database = _store(request).database
    more = {
        "budgets": await spending(database, key.id, key.allowance.budgets),
        "older_secrets_until": write_moment(
            await find_older_secrets_end(database, key)
        ),
    }
    return _answer(request, describe(key) | more)


def _answer(request: Request, data: object, **more: object) -> Response:
    """Answer in the form that `key_schemas` has for the route."""
    meta = {"requestId": request.state.request_id, **more}
    return json_response({"data": data, "meta": meta})
