"""Signatures, checked by the rules of the specification, as those of boto3 are."""

import asyncio
import hashlib
import hmac
import importlib.util
import re
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from llm_proxy.errors import LLMCredentialsError, ProviderNotConfiguredError
from llm_proxy.providers.sigv4 import Signer
from llm_proxy.wire.bedrock import BedrockConverse

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "a-secret", "a-token"
REGION = "eu-west-1"
HOST = f"https://bedrock-runtime.{REGION}.amazonaws.com"
MODELS = [
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0",
    "a-model",
]
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), "
    r"SignedHeaders=(?P<names>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def is_signed(method, url, headers, body):
    """Verify a signature (AWS Signature Version 4, "Create a signed request")."""
    split = urlsplit(url)
    headers = {name.lower(): value for name, value in headers.items()}
    headers["host"] = split.netloc
    match = AUTHORIZATION.fullmatch(headers["authorization"])
    names = match["names"].split(";")
    canonical = "\n".join(
        [
            method,
            # What is encoded on the wire is encoded once more.
            quote(split.path, safe="/-_.~"),
            split.query,
            *(f"{name}:{headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            headers["x-amz-date"],
            match["scope"],
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{SECRET}".encode()
    for piece in match["scope"].split("/"):
        key = hmac.digest(key, piece.encode(), "sha256")
    expected = hmac.new(key, text.encode(), "sha256").hexdigest()
    assert {"host", "x-amz-date"} <= set(names)
    assert match["scope"].endswith(f"/{REGION}/bedrock/aws4_request")
    return match["key"] == KEY and match["signature"] == expected


def session_with(credentials):
    session = botocore.session.Session()
    session._credentials = credentials
    return session


def signer_with(credentials, region=REGION):
    return Signer("bedrock", region, session=session_with(credentials))


def requests_of_boto(model):
    """What botocore's own client sends."""
    session = session_with(Credentials(KEY, SECRET, TOKEN))
    client = session.create_client("bedrock-runtime", region_name=REGION)
    sent = []

    def answer(request, **_):
        sent.append(request)
        return AWSResponse(request.url, 500, {}, None)

    client.meta.events.register("before-send.bedrock-runtime", answer)
    message = {"role": "user", "content": [{"text": "Hi"}]}
    with pytest.raises(AttributeError):
        client.converse(modelId=model, messages=[message])
    return sent[0]


@pytest.mark.parametrize("model", MODELS)
def test_boto3_sends_to_our_path_and_signs_by_the_rules_of_this_test(model):
    request = requests_of_boto(model)
    headers = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }

    assert request.url == HOST + BedrockConverse().path(model, stream=False)
    assert is_signed("POST", request.url, headers, request.body)
    assert not is_signed("POST", request.url, headers, request.body + b" ")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("body", [b"{}", b"x" * (1 << 20) + b"y"])
async def test_requests_are_signed(model, body):
    url = HOST + BedrockConverse().path(model, stream=True)
    headers = await signer_with(Credentials(KEY, SECRET)).headers("POST", url, body)

    assert headers.keys() == {"Authorization", "X-Amz-Date"}
    assert is_signed("POST", url, headers, body)


async def test_a_session_token_is_signed_too():
    signer = signer_with(Credentials(KEY, SECRET, TOKEN))
    headers = await signer.headers("POST", f"{HOST}/model/m/converse", b"{}")

    assert headers["X-Amz-Security-Token"] == TOKEN
    assert "x-amz-security-token" in headers["Authorization"]
    assert is_signed("POST", f"{HOST}/model/m/converse", headers, b"{}")


async def test_the_port_of_a_stub_is_signed():
    url = "http://127.0.0.1:8099/model/m/converse"
    headers = await signer_with(Credentials(KEY, SECRET)).headers("POST", url, b"{}")

    assert is_signed("POST", url, headers, b"{}")


class Source:
    """Where temporary keys come from; counts how often it is asked.

    Attributes:
        asked: How often.
        lasts: How long the next keys are good for.
        error: Raised in the place of keys.
    """

    def __init__(self, lasts=timedelta(hours=1)):
        self.asked = 0
        self.lasts = lasts
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self):
        self.asked += 1
        assert threading.current_thread() is not threading.main_thread()
        assert self.gate.wait(5)
        if self.error:
            raise self.error
        ends = datetime.now(UTC) + self.lasts
        return {
            "access_key": f"{KEY}{self.asked}",
            "secret_key": SECRET,
            "token": TOKEN,
            "expiry_time": ends.isoformat(),
        }

    def credentials(self):
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        return RefreshableCredentials("", "", "", long_ago, self.fetch, "test")


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)


async def key_of(signer):
    headers = await signer.headers("POST", HOST, b"")
    return AUTHORIZATION.fullmatch(headers["Authorization"])["key"]


async def test_temporary_keys_are_fetched_once_for_all_who_wait():
    source = Source()
    signer = signer_with(source.credentials())
    keys = await asyncio.gather(*(key_of(signer) for _ in range(20)))

    assert set(keys) == {f"{KEY}1"}
    assert await key_of(signer) == f"{KEY}1"
    assert source.asked == 1


async def test_one_who_gives_up_takes_the_keys_from_nobody():
    source = Source()
    source.gate.clear()
    signer = signer_with(source.credentials())
    impatient = asyncio.create_task(key_of(signer))
    patient = asyncio.create_task(key_of(signer))
    await until(lambda: source.asked)
    impatient.cancel()
    source.gate.set()

    assert await patient == f"{KEY}1"
    assert source.asked == 1
    assert impatient.cancelled()


async def test_keys_that_end_soon_are_renewed_while_they_are_used():
    source = Source(timedelta(minutes=12))
    signer = signer_with(source.credentials())
    await key_of(signer)
    source.lasts = timedelta(hours=1)
    source.gate.clear()
    meanwhile = [await key_of(signer), await key_of(signer)]
    source.gate.set()
    await until(lambda: signer._renewal.done())

    assert meanwhile == [f"{KEY}1", f"{KEY}1"]
    assert await key_of(signer) == f"{KEY}2"
    assert source.asked == 2


async def test_a_failed_renewal_is_tried_again():
    source = Source(timedelta(minutes=8))
    signer = signer_with(source.credentials())
    await key_of(signer)
    source.error = CredentialRetrievalError(provider="test", error_msg="down")
    keys = [await key_of(signer)]
    await until(lambda: source.asked == 2 and signer._renewal.done())
    source.error, source.lasts = None, timedelta(hours=1)
    keys.append(await key_of(signer))
    await until(lambda: signer._renewal.done())

    assert keys == [f"{KEY}1", f"{KEY}1"]
    assert await key_of(signer) == f"{KEY}3"


@pytest.mark.parametrize(
    "error",
    [CredentialRetrievalError(provider="test", error_msg="down"), RuntimeError("old")],
)
async def test_credentials_that_cannot_be_had_are_the_operators_problem(error):
    source = Source()
    source.error = error
    signer = signer_with(source.credentials())
    with pytest.raises(LLMCredentialsError) as raised:
        await key_of(signer)

    assert raised.value.provider == "bedrock"
    assert raised.value.log_detail == type(error).__name__


class NoCredentials(botocore.session.Session):
    def get_credentials(self):
        return None


async def test_missing_credentials_are_named(monkeypatch):
    signer = Signer("bedrock", REGION, session=NoCredentials())
    with pytest.raises(ProviderNotConfiguredError) as raised:
        await key_of(signer)

    assert "credentials" in raised.value.log_detail


async def test_the_region_may_come_from_the_profile(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    headers = await signer_with(Credentials(KEY, SECRET), "").headers("POST", HOST, b"")

    assert f"/{REGION}/bedrock/" in headers["Authorization"]


async def test_a_missing_region_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ProviderNotConfiguredError) as raised:
        await key_of(signer_with(Credentials(KEY, SECRET), ""))

    assert "AWS_REGION" in raised.value.log_detail


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ProviderNotConfiguredError) as raised:
        Signer("bedrock", REGION)

    assert "llm-proxy[aws]" in raised.value.log_detail
