import asyncio
import json

import httpx
import pytest
from tests.security.identity_provider import (
    DISCOVERY,
    JWKS,
    ec_key,
    public,
    rsa_key,
    running,
)

from llm_proxy.errors import IdentityProviderUnavailableError
from llm_proxy.security.signing_keys import SigningKeys
from llm_proxy.transport import UpstreamClient


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def provider():
    async with running() as provider:
        yield provider


@pytest.fixture
async def keys(provider, clock):
    async with UpstreamClient() as client:
        keys = SigningKeys(provider.issuer, client, clock=clock)
        yield keys
        await keys.aclose()


async def test_many_who_need_a_key_ask_once(keys, provider):
    provider.gate.clear()
    asking = [asyncio.create_task(keys.find("first", "RS256")) for _ in range(50)]
    await asyncio.sleep(0.02)
    # Who gives up does not end it for the others.
    asking.pop(0).cancel()
    provider.gate.set()

    assert all(await asyncio.gather(*asking))
    assert provider.asked == [DISCOVERY, JWKS]


async def test_unknown_keys_are_searched_once_a_minute(keys, provider, clock):
    assert await keys.find("first", "RS256")
    for number in range(20):
        assert await keys.find(f"unknown-{number}", "RS256") is None
    assert provider.asked.count(JWKS) == 2
    clock.now += 61
    assert await keys.find("unknown", "RS256") is None
    assert await keys.find("unknown", "RS256") is None
    assert provider.asked.count(JWKS) == 3


async def test_a_key_that_is_withdrawn_is_gone_after_five_minutes(
    keys, provider, clock
):
    assert await keys.find("first", "RS256")
    provider.publishes(public(ec_key(), "ES256", "second"))
    clock.now += 299
    assert await keys.find("first", "RS256")
    assert provider.asked.count(JWKS) == 1
    clock.now += 2
    provider.keys_sent.clear()
    # Nobody waits for what is fetched in good time.
    assert await keys.find("first", "RS256")
    await asyncio.wait_for(provider.keys_sent.wait(), 5)
    assert await keys.find("second", "ES256")
    assert provider.asked.count(JWKS) == 2
    clock.now += 61
    assert await keys.find("first", "RS256") is None


async def test_a_hanging_provider_keeps_nobody_waiting_whose_key_is_known(
    keys, provider, clock
):
    assert await keys.find("first", "RS256")
    provider.gate.clear()
    clock.now += 301
    async with asyncio.timeout(1):
        assert await keys.find("first", "RS256")


async def test_known_keys_are_used_for_an_hour_without_the_provider(
    keys, provider, clock
):
    assert await keys.find("first", "RS256")
    provider.fails()
    clock.now += 3599
    assert await keys.find("first", "RS256")
    # A key that is new, perhaps: nobody can know.
    with pytest.raises(IdentityProviderUnavailableError):
        await keys.find("second", "RS256")
    clock.now += 2
    with pytest.raises(IdentityProviderUnavailableError):
        await keys.find("first", "RS256")


async def test_a_provider_in_trouble_is_asked_once_a_second(keys, provider, clock):
    good = dict(provider.answers)
    provider.fails()
    for _ in range(10):
        with pytest.raises(IdentityProviderUnavailableError):
            await keys.find("first", "RS256")
    assert provider.asked == [DISCOVERY]
    provider.answers = good
    clock.now += 1
    assert await keys.find("first", "RS256")


async def test_nobody_at_the_address_is_trouble(clock):
    async with running() as provider:
        issuer = provider.issuer
    async with UpstreamClient() as client:
        keys = SigningKeys(issuer, client, clock=clock)
        with pytest.raises(IdentityProviderUnavailableError):
            await keys.find("first", "RS256")


async def test_a_provider_that_hangs_is_given_up(provider):
    provider.gate.clear()
    async with UpstreamClient() as client:
        keys = SigningKeys(provider.issuer, client, fetch_seconds=0.05)
        with pytest.raises(IdentityProviderUnavailableError):
            await keys.find("first", "RS256")


def discovery(**changes):
    """Changes the discovery document."""

    def change(provider):
        document = json.loads(provider.answers[DISCOVERY][2])
        provider.says(DISCOVERY, document | changes)

    return change


BROKEN = {
    "another issuer": discovery(issuer="http://127.0.0.1"),
    "no issuer": discovery(issuer=None),
    "no address of keys": discovery(jwks_uri=None),
    "a document that is a list": lambda p: p.says(DISCOVERY, []),
    "a document that is not JSON": lambda p: p.says(DISCOVERY, b"<html>"),
    "a document that is elsewhere": lambda p: p.says(
        DISCOVERY, b"", 302, location=p.issuer + "/elsewhere"
    ),
    "keys that are elsewhere": lambda p: p.says(JWKS, b"", 307, location="/elsewhere"),
    "keys of a megabyte": lambda p: p.says(
        JWKS, {"keys": [public(rsa_key(), "RS256")], "more": "x" * 2**20}
    ),
    "no keys": lambda p: p.publishes(),
    "keys that are no list": lambda p: p.says(JWKS, {"keys": {}}),
    "keys that are no object": lambda p: p.says(JWKS, []),
}


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_not_as_it_must_be_gives_no_key(provider, breaks, clock):
    provider.says("/elsewhere", {"keys": [public(rsa_key(), "RS256")]})
    breaks(provider)
    for client in (UpstreamClient(), httpx.AsyncClient(follow_redirects=True)):
        async with client:
            keys = SigningKeys(provider.issuer, client, clock=clock)
            with pytest.raises(IdentityProviderUnavailableError):
                await keys.find("first", "RS256")
    assert "/elsewhere" not in provider.asked


@pytest.mark.parametrize(
    ("issuer", "jwks_uri"),
    [
        ("https://id.example", "http://id.example/keys"),
        ("https://id.example", "http://127.0.0.1/keys"),
        ("http://127.0.0.1", "http://id.example/keys"),
        ("http://127.0.0.1", "http://user@127.0.0.1/keys"),
        ("http://127.0.0.1", "file:///etc/passwd"),
        ("http://127.0.0.1", "http://[::1"),
        ("http://127.0.0.1", "keys"),
    ],
)
async def test_a_provider_leads_to_no_worse_place(issuer, jwks_uri, clock):
    asked = []

    def answer(request):
        asked.append(request.url.path)
        key = public(rsa_key(), "RS256")
        document = {"issuer": issuer, "jwks_uri": jwks_uri, "keys": [key]}
        return httpx.Response(200, json=document)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        keys = SigningKeys(issuer, client, clock=clock)
        with pytest.raises(IdentityProviderUnavailableError):
            await keys.find("first", "RS256")
    assert asked == [DISCOVERY]


async def test_an_issuer_may_end_with_a_slash(provider, clock):
    issuer = provider.issuer + "/"
    discovery(issuer=issuer)(provider)
    async with UpstreamClient() as client:
        assert await SigningKeys(issuer, client, clock=clock).find("first", "RS256")


async def test_closing_ends_a_fetch(keys, provider):
    provider.gate.clear()
    asking = asyncio.create_task(keys.find("first", "RS256"))
    await asyncio.sleep(0.02)
    await keys.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_an_outage_is_logged_once(keys, provider, clock, capsys):
    provider.fails()
    for _ in range(3):
        with pytest.raises(IdentityProviderUnavailableError):
            await keys.find("first", "RS256")
        clock.now += 2
    assert capsys.readouterr().out.count("identity_provider_unavailable") == 1
