import base64
import json
import sys
import time
from dataclasses import replace

import jwt
import pytest
from tests.security.identity_provider import rsa_key

from llm_proxy.errors import AuthenticationError, ForbiddenError
from llm_proxy.security.access_tokens import AccessTokens
from llm_proxy.settings import ConfigurationError
from llm_proxy.types import ROLES, Principal

SECRET = "0123456789abcdef" * 2
ADA = Principal(
    "key_ada",
    "developer",
    ROLES["developer"],
    organisation="acme",
    credential="5ec2e7",
)


class Clock:
    def __init__(self):
        self.now = float(int(time.time())) + 0.75

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return AccessTokens(SECRET, max_seconds=3600, clock=clock)


class People:
    """Knows who has a valid credential."""

    def __init__(self, *principals):
        self.known = {each.credential: each for each in principals}
        self.asked = []

    async def __call__(self, claims):
        self.asked.append((claims.name, claims.credential))
        return self.known.get(claims.credential)


async def test_a_token_stands_for_its_principal(tokens, clock):
    token, seconds = tokens.issue(ADA, 60)

    people = People(ADA)
    principal = await tokens.resolve(token, people)

    assert seconds == 60
    assert people.asked == [("key_ada", "5ec2e7")]
    assert principal == replace(ADA, expires_at=int(clock.now) + 60)


def test_a_token_says_what_rfc_9068_asks_for(tokens, clock):
    token, _ = tokens.issue(ADA, 60, frozenset(("models:call", "usage:read")))

    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}
    claims = jwt.decode(token, SECRET, ["HS256"], audience="llm-proxy")
    assert len(claims.pop("jti")) == 32
    now = int(clock.now)
    assert claims == {
        "iss": "llm-proxy",
        "aud": "llm-proxy",
        "sub": "key_ada",
        "credential": "5ec2e7",
        "scope": "models:call usage:read",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }


def test_no_two_tokens_are_the_same(tokens):
    assert tokens.issue(ADA)[0] != tokens.issue(ADA)[0]


@pytest.mark.parametrize(
    ("asked", "left", "given"),
    [
        (None, None, 3600),
        (10, None, 10),
        (10.9, None, 11),
        (1e300, None, 3600),
        (None, 30.5, 31),
        (10, 30, 10),
        (60, 30, 30),
    ],
)
def test_a_token_lives_no_longer_than_it_may(tokens, clock, asked, left, given):
    expires_at = None if left is None else clock.now + left
    token, seconds = tokens.issue(replace(ADA, expires_at=expires_at), asked)
    assert seconds == given
    exp = jwt.decode(token, options={"verify_signature": False})["exp"]
    assert exp == int(clock.now) + given
    assert expires_at is None or exp <= expires_at


@pytest.mark.parametrize(("asked", "left"), [(0, None), (-5, None), (9, 0), (9, -1)])
def test_who_is_about_to_be_nobody_gets_no_token(tokens, clock, asked, left):
    expires_at = None if left is None else clock.now + left
    with pytest.raises(AuthenticationError):
        tokens.issue(replace(ADA, expires_at=expires_at), asked)


async def test_a_token_may_do_less_and_never_more(tokens):
    token, _ = tokens.issue(ADA, scopes=frozenset(("usage:read",)))
    assert (await tokens.resolve(token, People(ADA))).scopes == {"usage:read"}

    with pytest.raises(ForbiddenError) as caught:
        tokens.issue(ADA, scopes=frozenset(("usage:read", "keys:write")))
    assert caught.value.details == {"reason": "scope", "scope": ["keys:write"]}


async def test_no_scope_is_not_every_scope(tokens):
    token, _ = tokens.issue(ADA, scopes=frozenset())
    assert (await tokens.resolve(token, People(ADA))).scopes == frozenset()


async def test_what_a_principal_loses_its_tokens_lose(tokens, clock):
    token, _ = tokens.issue(ADA)
    viewer = replace(ADA, role="viewer", scopes=ROLES["viewer"])
    assert (await tokens.resolve(token, People(viewer))).scopes == ROLES["viewer"]

    sooner = replace(ADA, expires_at=clock.now + 5)
    assert (await tokens.resolve(token, People(sooner))).expires_at == clock.now + 5

    gone = replace(ADA, expires_at=clock.now)
    assert await tokens.resolve(token, People(gone)) is None
    assert await tokens.resolve(token, People()) is None


async def test_a_token_stands_for_one_credential_of_its_principal(tokens):
    other = People(replace(ADA, credential="07be2"))
    token, _ = tokens.issue(ADA)
    assert await tokens.resolve(token, other) is None

    both = People(ADA, *other.known.values())
    principal = await tokens.resolve(token, both)
    exchanged, _ = tokens.issue(principal)
    assert principal.credential == ADA.credential
    assert await tokens.resolve(exchanged, other) is None


async def test_what_a_principal_gains_its_tokens_do_not(tokens):
    token, _ = tokens.issue(ADA)
    admin = replace(ADA, role="admin", scopes=ROLES["admin"])
    assert (await tokens.resolve(token, People(admin))).scopes == ADA.scopes


async def test_a_token_made_of_a_token_lives_no_longer(tokens, clock):
    token, _ = tokens.issue(ADA, 60, frozenset(("usage:read",)))
    clock.now += 30
    principal = await tokens.resolve(token, People(ADA))
    _, seconds = tokens.issue(principal)
    assert seconds == 30


def test_callers_of_an_identity_provider_get_no_token(tokens):
    with pytest.raises(ForbiddenError):
        tokens.issue(replace(ADA, name="oidc:ada"))


async def test_a_token_ends_on_time_though_it_was_read(tokens, clock):
    token, _ = tokens.issue(ADA, 10)
    assert tokens.read(token) is tokens.read(token)
    clock.now += 9
    assert await tokens.resolve(token, People(ADA))
    clock.now += 1
    assert tokens.read(token) is None
    assert await tokens.resolve(token, People(ADA)) is None


def test_of_whom_a_token_was_is_known_after_its_life(tokens, clock):
    token, _ = tokens.issue(ADA, 10)
    clock.now += 10_000
    assert tokens.read(token) is None
    claims = tokens.trace(token)
    assert (claims.name, claims.credential) == (ADA.name, ADA.credential)


def test_processes_with_one_secret_read_each_others_tokens(tokens, clock):
    other = AccessTokens(SECRET, max_seconds=60, clock=clock)
    token, _ = tokens.issue(ADA)
    assert other.read(token) == tokens.read(token)
    # Its clock is behind.
    clock.now -= 20
    assert AccessTokens(SECRET, max_seconds=60, clock=clock).read(token)
    clock.now -= 20
    assert AccessTokens(SECRET, max_seconds=60, clock=clock).read(token) is None


def claims(**changes):
    now = int(time.time())
    claims = {
        "iss": "llm-proxy",
        "aud": "llm-proxy",
        "sub": "key_ada",
        "credential": "5ec2e7",
        "scope": "models:call",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": "1",
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def token(secret=SECRET, algorithm="HS256", typ="at+jwt", **changes):
    return jwt.encode(claims(**changes), secret, algorithm, {"typ": typ})


def unsigned(**header):
    parts = ({"typ": "at+jwt"} | header, claims())
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
    return b".".join(text.rstrip(b"=") for text in texts).decode() + "."


def test_what_the_attacks_change_is_good(tokens):
    assert tokens.read(token()).name == "key_ada"


@pytest.mark.parametrize(
    "forged",
    [
        token("another secret of 32 characters."),
        token(SECRET * 2, "HS384"),
        token(SECRET * 2, "HS512"),
        token(rsa_key(), "RS256"),
        token(typ="JWT"),
        token(typ=""),
        unsigned(alg="none"),
        unsigned(alg="HS256"),
        unsigned(),
        token(iss="other"),
        token(iss=None),
        token(aud="other"),
        token(aud=["llm-proxy", "other"]),
        token(aud=None),
        token(sub=None),
        token(credential=None),
        token(credential=7),
        token(scope=None),
        token(scope=["models:call"]),
        token(iat=None),
        token(nbf=None),
        token(exp=None),
        token(jti=None),
        token(exp=int(time.time()) - 1),
        token(exp="soon"),
        token(nbf=int(time.time()) + 3600),
        token(filler="x" * 2**20),
        token()[:-1],
        token() + "=",
        token().rpartition(".")[0] + ".",
        "",
        "sk-llmp-x",
        "\udc80.a.b",
        "a" * 2**20,
    ],
    ids=range(34),
)
async def test_what_is_not_of_ours_is_nobodys_and_asks_nobody(tokens, forged):
    people = People(ADA)
    assert tokens.read(forged) is None
    assert await tokens.resolve(forged, people) is None
    assert people.asked == []


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_a_short_secret_is_refused_at_the_start(secret):
    with pytest.raises(ConfigurationError, match="JWT_SECRET_KEY") as caught:
        AccessTokens(secret, max_seconds=60)
    assert "x" * 31 not in str(caught.value)


def test_without_the_extra_the_start_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigurationError, match="pip install"):
        AccessTokens(SECRET, max_seconds=60)
