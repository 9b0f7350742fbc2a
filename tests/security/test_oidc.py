import base64
import hashlib
import hmac
import json
import random
import re
import ssl
import string
import sys
import time

import httpx
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.security.identity_provider import (
    AUDIENCE,
    JWKS,
    ec_key,
    ed_key,
    public,
    rsa_key,
    running,
)

from llm_proxy.errors import IdentityProviderUnavailableError
from llm_proxy.security.oidc import OIDC, IdentityProvider, read_principal
from llm_proxy.security.signed_token import RefusedTokenError
from llm_proxy.settings import ConfigurationError
from llm_proxy.transport import PoolTransport, UpstreamClient
from llm_proxy.types import ROLES

HEADER = {"alg": "RS256", "kid": "first"}


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.time() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def provider():
    async with running() as provider:
        yield provider


@pytest.fixture
async def client():
    async with UpstreamClient() as client:
        yield client


@pytest.fixture
async def oidc(provider, client, clock):
    oidc = OIDC(IdentityProvider(provider.issuer, AUDIENCE), client, clock=clock)
    yield oidc
    await oidc.aclose()


def encoded(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def signed(header, payload, key=None):
    """Signs what no library would write."""
    text = f"{encoded(header)}.{encoded(payload)}"
    signature = jwt.get_algorithm_by_name("RS256").sign(text.encode(), key or rsa_key())
    return f"{text}.{encoded(signature)}"


async def test_a_token_says_who_is_calling(oidc, provider):
    token = provider.token(
        email="ada@example.com", organisation="acme", team="engines", roles="operator"
    )

    principal = await oidc.find(token)

    assert principal.name == "oidc:ada"
    assert principal.role == "operator"
    assert principal.scopes == ROLES["operator"]
    assert (principal.organisation, principal.team) == ("acme", "engines")
    assert principal.user == "ada@example.com"
    # The token ends; who has it does not.
    assert principal.expires_at is None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa_key, "RS256"), (rsa_key, "PS256"), (ec_key, "ES256"), (ed_key, "EdDSA")],
)
async def test_keys_of_each_kind_are_believed(oidc, provider, key, algorithm):
    provider.publishes(public(key(), algorithm))
    assert await oidc.find(provider.token(key(), algorithm))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_kinds_that_identity_providers_write_are_believed(oidc, provider, typ):
    assert await oidc.find(provider.token(headers={"typ": typ}))


async def test_https_and_any_httpx_client_will_do(clock):
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    clients = (
        UpstreamClient(PoolTransport(tls=trusting)),
        httpx.AsyncClient(verify=trusting, follow_redirects=True),
    )
    async with running(serving) as provider:
        for client in clients:
            async with client:
                oidc = OIDC(IdentityProvider(provider.issuer, AUDIENCE), client)
                assert await oidc.find(provider.token())


async def test_a_token_is_checked_once(oidc, provider):
    token = provider.token()
    assert oidc.known(token) is None

    principal = await oidc.find(token)

    assert oidc.known(token) is principal
    assert await oidc.find(token) is principal
    assert len(provider.asked) == 2


async def test_what_was_checked_is_forgotten_after_five_minutes(oidc, provider, clock):
    token = provider.token()
    await oidc.find(token)
    clock.ahead = 299
    assert oidc.known(token)
    clock.ahead = 301
    assert oidc.known(token) is None
    assert await oidc.find(token)


async def test_a_token_ends_with_its_leeway_though_it_was_checked(
    oidc, provider, clock
):
    token = provider.token(exp=clock() + 10)
    assert await oidc.find(token)
    clock.ahead = 69
    assert await oidc.find(token)
    clock.ahead = 71
    assert oidc.known(token) is None
    assert await oidc.find(token) is None


async def test_a_token_that_begins_or_ends_like_a_good_one_is_nobodys(oidc, provider):
    token = provider.token()
    assert await oidc.find(token)
    start, _, signature = token.rpartition(".")
    mallory = provider.token(rsa_key("mallory"), sub="mallory")

    for forged in (
        token[:-8] + "AAAAAAAA",
        f"{start}.{mallory.rpartition('.')[2]}",
        f"{mallory.rpartition('.')[0]}.{signature}",
        token + "=",
        token + "A",
        token + "\n",
        token[:-1],
    ):
        assert oidc.known(forged) is None
        assert await oidc.find(forged) is None


def hmac_with_public_key(provider):
    """The oldest trick: the public key taken as a secret."""
    pem = (
        rsa_key()
        .public_key()
        .public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    )
    text = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(provider.claims())}"
    digest = hmac.new(pem, text.encode(), hashlib.sha256).digest()
    return f"{text}.{encoded(digest)}"


def unsigned(provider, alg="none"):
    return f"{encoded({'alg': alg, 'kid': 'first'})}.{encoded(provider.claims())}."


def twice(provider, name, value):
    """Good claims, one of which stands there twice."""
    text = json.dumps(provider.claims())
    return signed(
        HEADER,
        f'{text[:-1]}, "{name}": {json.dumps(value)}}}'.encode(),
    )


# By why they fail, or None for what is no JWT at all.
ATTACKS = {
    (None, "alg none"): unsigned,
    (None, "alg None"): lambda provider: unsigned(provider, "None"),
    ("alg", "alg none with a signature"): lambda provider: unsigned(provider) + "AAAA",
    ("alg", "no alg"): lambda provider: signed({"kid": "first"}, provider.claims()),
    ("alg", "alg is a list"): lambda p: signed(HEADER | {"alg": ["RS256"]}, p.claims()),
    ("alg", "HS256 with the public key"): hmac_with_public_key,
    ("alg", "RS512"): lambda provider: provider.token(algorithm="RS512"),
    ("kid", "ES256 with the name of an RSA key"): lambda p: p.token(ec_key(), "ES256"),
    ("signature", "another's key"): lambda provider: provider.token(rsa_key("mallory")),
    ("kid", "kid missing"): lambda provider: provider.token(headers={"kid": None}),
    ("kid", "kid empty"): lambda provider: provider.token(headers={"kid": ""}),
    ("kid", "kid unknown"): lambda provider: provider.token(headers={"kid": "other"}),
    ("kid", "kid is a path"): lambda p: p.token(
        headers={"kid": "../../../../dev/null"}
    ),
    ("kid", "kid is SQL"): lambda p: p.token(headers={"kid": "x' UNION SELECT 'k' --"}),
    ("kid", "kid is a list"): lambda p: signed(HEADER | {"kid": ["first"]}, p.claims()),
    ("typ", "typ of another purpose"): lambda p: p.token(headers={"typ": "logout+jwt"}),
    ("crit", "crit"): lambda p: signed(HEADER | {"crit": ["x"], "x": 1}, p.claims()),
    ("crit", "b64"): lambda p: signed(
        HEADER | {"crit": ["b64"], "b64": False}, p.claims()
    ),
    ("json", "header is a list"): lambda provider: signed(["RS256"], provider.claims()),
    ("json", "header is not JSON"): lambda provider: signed(b"{alg", provider.claims()),
    ("json", "header is nested"): lambda provider: signed(b"[" * 5000, {}),
    ("form", "header is not base64"): lambda p: "e." + p.token().partition(".")[2],
    ("json", "alg twice"): lambda p: signed(
        b'{"alg": "none", "alg": "RS256", "kid": "first"}', p.claims()
    ),
    ("json", "claims are a list"): lambda p: signed(HEADER, [1]),
    ("json", "claims are not JSON"): lambda p: signed(HEADER, b"\xff"),
    ("json", "sub twice"): lambda provider: twice(provider, "sub", "admin"),
    ("json", "roles twice"): lambda provider: twice(provider, "roles", ["admin"]),
    ("iss", "iss missing"): lambda provider: provider.token(iss=None),
    ("iss", "iss of another"): lambda provider: provider.token(
        iss="https://evil.example"
    ),
    ("iss", "iss with a slash"): lambda p: p.token(iss=p.issuer + "/"),
    ("iss", "iss is a list"): lambda p: signed(HEADER, p.claims(iss=[p.issuer])),
    ("aud", "aud missing"): lambda provider: provider.token(aud=None),
    ("aud", "aud of another"): lambda provider: provider.token(aud="other"),
    ("aud", "aud of several others"): lambda provider: provider.token(aud=["other"]),
    ("aud", "aud that begins the same"): lambda provider: provider.token(
        aud="proxy-admin"
    ),
    ("aud", "aud is an object"): lambda provider: provider.token(aud={AUDIENCE: True}),
    ("azp", "aud of several without azp"): lambda p: p.token(aud=[AUDIENCE, "other"]),
    ("azp", "aud of several, azp of another"): lambda p: p.token(
        aud=[AUDIENCE, "other"], azp="other"
    ),
    ("exp", "exp missing"): lambda provider: provider.token(exp=None),
    ("exp", "exp passed"): lambda p: p.token(exp=p.claims()["iat"] - 61),
    ("exp", "exp is text"): lambda p: p.token(exp=str(p.claims()["exp"])),
    ("exp", "exp is true"): lambda provider: provider.token(exp=True),
    ("exp", "exp never comes"): lambda provider: provider.token(exp=1e300),
    ("exp", "exp is infinite"): lambda provider: provider.token(exp=float("inf")),
    ("exp", "exp is not a number"): lambda provider: provider.token(exp=float("nan")),
    ("json", "exp has too many digits"): lambda p: signed(
        HEADER,
        b'{"exp": ' + b"9" * 4400 + b"}",
    ),
    ("nbf", "nbf to come"): lambda p: p.token(nbf=p.claims()["iat"] + 90),
    ("nbf", "nbf is text"): lambda provider: provider.token(nbf="0"),
    ("iat", "iat missing"): lambda provider: provider.token(iat=None),
    ("iat", "iat is true"): lambda provider: provider.token(iat=True),
    ("iat", "iat to come"): lambda p: p.token(iat=p.claims()["iat"] + 90),
    ("sub", "sub missing"): lambda provider: provider.token(sub=None),
    ("sub", "sub empty"): lambda provider: provider.token(sub=""),
    ("sub", "sub is a number"): lambda p: signed(HEADER, p.claims(sub=1)),
    ("sub", "sub too long"): lambda provider: provider.token(sub="a" * 201),
    ("sub", "sub with a line break"): lambda provider: provider.token(sub="ada\nadmin"),
    ("sub", "sub with a NUL"): lambda provider: provider.token(sub="ada\0"),
    ("sub", "sub with half a character"): lambda provider: provider.token(
        sub="ada\ud800"
    ),
    ("sub", "sub that reads backwards"): lambda provider: provider.token(
        sub="ada\u202e"
    ),
    ("organisation", "organisation is a list"): lambda p: p.token(
        organisation=["acme"]
    ),
    ("organisation", "organisation too long"): lambda p: p.token(
        organisation="a" * 256
    ),
    ("team", "team is a number"): lambda provider: provider.token(team=7),
    ("role", "no role"): lambda provider: provider.token(roles=None),
    ("role", "a role that we do not know"): lambda provider: provider.token(
        roles=["root"]
    ),
}


@pytest.mark.parametrize(
    ("reason", "attack"),
    [(reason, attack) for (reason, _), attack in ATTACKS.items()],
    ids=[name for _, name in ATTACKS],
)
async def test_a_token_that_is_not_as_it_must_be_is_nobodys(
    oidc, provider, reason, attack
):
    token = attack(provider)

    with capture_logs() as lines:
        assert await oidc.find(token) is None

    assert [line["reason"] for line in lines] == [reason] * (reason is not None)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE]},
        {"aud": [AUDIENCE], "azp": "other"},
        {"aud": ["other", AUDIENCE], "azp": AUDIENCE},
        {"azp": "other"},
        {"nbf": 0},
        {"organisation": "", "team": "", "email": ""},
        {"sub": "a" * 200},
        {"sub": "auth0|5f7c8ec7c33c6c004bbafe82"},
    ],
)
async def test_what_good_tokens_may_say(oidc, provider, changes):
    assert await oidc.find(provider.token(**changes))


async def test_a_clock_may_be_a_minute_off(oidc, provider):
    now = provider.claims()["iat"]
    assert await oidc.find(provider.token(nbf=now + 50, iat=now + 50))
    assert await oidc.find(provider.token(exp=now - 50))


async def test_keys_are_asked_of_nobody_that_a_token_names(oidc, provider):
    mallory = rsa_key("mallory")
    provider.says("/evil", {"keys": [public(mallory, "RS256", "evil")]})
    evil = provider.issuer + "/evil"
    headers = {
        "kid": "evil",
        "jku": evil,
        "x5u": evil,
        "jwk": public(mallory, "RS256", "evil"),
        "x5c": ["MIIB"],
    }

    assert await oidc.find(provider.token(mallory, headers=headers)) is None
    assert "/evil" not in provider.asked
    # They are nothing to us either way.
    assert await oidc.find(provider.token(headers=headers | {"kid": "first"}))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c.d", "é.é.é", "\udc80.a.a", "sk-llmp-x", "a" * 2**20],
    ids=range(9),
)
async def test_what_is_no_jwt_is_nobodys_and_asks_nobody(oidc, provider, token):
    assert await oidc.find(token) is None
    assert provider.asked == []


async def test_a_token_of_a_megabyte_is_not_looked_at(oidc, provider):
    token = provider.token(filler="x" * 2**20)
    assert await oidc.find(token) is None
    assert provider.asked == []


@pytest.mark.parametrize("kid", [None, ""])
async def test_a_token_that_names_no_key_asks_nobody(oidc, provider, kid):
    provider.publishes(public(rsa_key(), "RS256", ""))
    assert await oidc.find(provider.token(headers={"kid": kid})) is None
    assert provider.asked == []


async def test_an_algorithm_that_is_not_ours_asks_nobody(oidc, provider):
    assert await oidc.find(hmac_with_public_key(provider)) is None
    assert provider.asked == []


@given(seed=st.integers(0, 2**32))
async def test_whatever_is_changed_in_a_token_makes_it_nobodys(seed):
    # Within the function: fixtures would be shared by all examples.
    async with running() as provider, UpstreamClient() as client:
        oidc = OIDC(IdentityProvider(provider.issuer, AUDIENCE), client)
        dice = random.Random(seed)
        token = list(provider.token())
        place = dice.randrange(len(token))
        token[place] = dice.choice(
            [c for c in string.ascii_letters + "-_.= \0é" if c != token[place]]
        )
        assert await oidc.find("".join(token)) is None


async def test_a_provider_that_cannot_be_asked_makes_no_caller_a_stranger(
    oidc, provider
):
    provider.fails()
    with pytest.raises(IdentityProviderUnavailableError) as caught:
        await oidc.find(provider.token())
    assert caught.value.status == 503
    assert caught.value.retry_after_seconds == 1


async def test_a_key_too_short_to_trust_is_not(oidc, provider):
    key = rsa_key("short", 1024)
    provider.publishes(public(key, "RS256"), public(rsa_key(), "RS256", "second"))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = provider.token(key)
    assert await oidc.find(token) is None
    assert await oidc.find(provider.token(headers={"kid": "second"}))


PROVIDER = IdentityProvider("https://id.example", AUDIENCE)
CLAIMS = {"sub": "ada", "exp": 10, "roles": ["viewer"]}


@pytest.mark.parametrize(
    ("path", "claims", "role"),
    [
        ("roles", {"roles": "admin"}, "admin"),
        ("roles", {"roles": ["viewer", "operator", "developer"]}, "operator"),
        ("roles", {"roles": [{"admin": 1}, None, ["admin"], "viewer"]}, "viewer"),
        ("realm_access.roles", {"realm_access": {"roles": ["admin"]}}, "admin"),
        (
            "https://acme.example/roles",
            {"https://acme.example/roles": "admin"},
            "admin",
        ),
        ("realm_access.roles", {"realm_access": ["admin"]}, None),
        ("realm_access.roles", {"realm_access": {"roles": {"admin": 1}}}, None),
        ("roles", {"roles": "administrator"}, None),
        ("roles", {"roles": ["Admin", "admin "]}, None),
        ("roles", {"roles": 1}, None),
        ("other", {}, None),
    ],
)
@pytest.mark.parametrize("default", [None, "developer"])
def test_the_most_powerful_known_role_counts(path, claims, role, default):
    provider = IdentityProvider("https://id.example", AUDIENCE, path, default)
    if (role or default) is None:
        with pytest.raises(RefusedTokenError, match="role"):
            read_principal(CLAIMS | claims, provider)
    else:
        principal = read_principal(CLAIMS | claims, provider)
        assert principal.role == (role or default)
        assert principal.scopes == ROLES[role or default]


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({}, "ada"),
        ({"preferred_username": "lovelace"}, "lovelace"),
        ({"email": "a@b.c", "preferred_username": "lovelace"}, "a@b.c"),
        ({"email": "a@b.c", "email_verified": True}, "a@b.c"),
        ({"email": "a@b.c", "email_verified": "true"}, "a@b.c"),
        ({"email": "a@b.c", "email_verified": False}, "ada"),
        ({"email": "a@b.c", "email_verified": None}, "ada"),
        ({"email": None, "preferred_username": None}, "ada"),
    ],
)
def test_a_user_is_called_by_the_best_name_there_is(claims, user):
    assert read_principal(CLAIMS | claims, PROVIDER).user == user


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example", "ftp://id.example", "https://a:b@id.example", "id", ""],
)
def test_an_issuer_that_must_not_be_asked_is_refused_at_the_start(issuer):
    with pytest.raises(ConfigurationError, match="OIDC_ISSUER"):
        OIDC(IdentityProvider(issuer, AUDIENCE), UpstreamClient())


@pytest.mark.parametrize("module", ["jwt", "cryptography"])
def test_without_the_extra_the_start_says_what_to_install(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=re.escape("llm-proxy[jwt]")):
        OIDC(PROVIDER, UpstreamClient())


async def test_a_new_key_is_known_at_its_first_use(oidc, provider):
    assert await oidc.find(provider.token())
    new = rsa_key("second")
    provider.publishes(public(new, "RS256", "second"))
    assert await oidc.find(provider.token(new, headers={"kid": "second"}))
    assert provider.asked.count(JWKS) == 2
