"""A real identity provider on loopback, with real keys, which does what a test says."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
AUDIENCE = "proxy"


@cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public(key, algorithm: str, kid: object = "first", **fields: object) -> dict:
    """A public key as an identity provider publishes it."""
    entry = get_default_algorithms()[algorithm].to_jwk(key.public_key(), as_dict=True)
    # PyJWT writes what the key may do; many providers write ``use`` instead.
    entry.pop("key_ops", None)
    return entry | {"kid": kid, "use": "sig"} | fields


class Provider:
    """Serves a discovery document and keys.

    Attributes:
        issuer: Its address.
        answers: By path: the status, headers and body of the answer.
        asked: The paths that were asked for.
        gate: Answers wait until it is set.
        keys_sent: Is set when keys are.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.keys_sent = asyncio.Event()
        self.publishes(public(rsa_key(), "RS256"))
        self.says(DISCOVERY, {"issuer": issuer, "jwks_uri": issuer + JWKS})

    def says(self, path: str, body: object, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (status, headers, data)

    def publishes(self, *keys: object) -> None:
        self.says(JWKS, {"keys": keys})

    def fails(self, status: int = 503) -> None:
        for path in self.answers:
            self.says(path, b"", status)

    def claims(self, **changes: object) -> dict:
        """Good claims, changed; None takes one away."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ada",
            "iat": now,
            "exp": now + 600,
            "roles": ["developer"],
        }
        return {k: v for k, v in (claims | changes).items() if v is not None}

    def token(
        self,
        key=None,
        algorithm: str = "RS256",
        headers: dict | None = None,
        **changes: object,
    ) -> str:
        """A good token, changed."""
        headers = {"kid": "first"} | (headers or {})
        headers = {k: v for k, v in headers.items() if v is not None}
        claims = self.claims(**changes)
        return jwt.encode(claims, key or rsa_key(), algorithm, headers)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1].decode()
                self.asked.append(path)
                await self.gate.wait()
                status, headers, body = self.answers[path]
                lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write("\r\n".join([*lines, "\r\n"]).encode() + body)
                await writer.drain()
                if path == JWKS:
                    self.keys_sent.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(tls: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    """Starts an identity provider."""
    provider: Provider | None = None
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader, writer):
        assert provider is not None
        connections[asyncio.current_task()] = writer
        await provider.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    provider = Provider(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
    async with server:
        yield provider
        provider.gate.set()
        for writer in connections.values():
            writer.close()
        await asyncio.gather(*connections)
