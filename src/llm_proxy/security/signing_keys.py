"""The keys with which an identity provider signs, fetched when they are needed."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import orjson

from llm_proxy.errors import IdentityProviderUnavailableError
from llm_proxy.security.jwks import read_keys
from llm_proxy.setting_rules import check_base_url
from llm_proxy.telemetry import get_logger
from llm_proxy.transport import BodyTooLargeError, read_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from jwt.algorithms import AllowedPublicKeys

    from llm_proxy.security.jwks import Keys

_log = get_logger(__name__)

_MAX_DOCUMENT_BYTES = 262_144
# Keys older than this are fetched again, while they are used.
_FRESH_SECONDS = 300.0
# How long they are used while the identity provider cannot be asked.
_USABLE_SECONDS = 3600.0
# Anybody can name a key that nobody knows, so such names may not cause more traffic.
_SEARCH_SECONDS = 60.0
_RETRY_SECONDS = 1.0


class SigningKeys:
    """Knows the keys of an identity provider (OpenID Connect Discovery 1.0).

    A key that is withdrawn is used for five minutes more, or for an hour if the
    provider cannot be asked. A key that is new is known at its first use, once a
    minute at most.

    Args:
        issuer: The address of the provider, checked by `check_address`.
        client: Asks the provider; whoever made it closes it.
        fetch_seconds: How long the provider may take to say what its keys are.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        issuer: str,
        client: httpx.AsyncClient,
        *,
        fetch_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._fetch_seconds = fetch_seconds
        self._clock = clock
        self._keys: Keys = {}
        self._fetched_at = self._tried_at = self._searched_at = -inf
        self._is_failing = False
        self._fetch: asyncio.Task[None] | None = None

    async def find(self, key_id: str, algorithm: str) -> AllowedPublicKeys | None:
        """Find a key.

        Args:
            key_id: As a token names it; any text.
            algorithm: What it must have been made for.

        Returns:
            The key, or None if the provider has no such key.

        Raises:
            IdentityProviderUnavailableError: The provider cannot be asked now.
        """
        key = self._known(key_id, algorithm)
        fetch = self._begin_fetch(is_known=key is not None)
        if key is None and fetch is not None:
            # Who gives up waiting must not end what others wait for.
            await asyncio.shield(fetch)
            key = self._known(key_id, algorithm)
        if key is None and self._is_failing:
            raise IdentityProviderUnavailableError
        return key

    async def aclose(self) -> None:
        """End a fetch that is under way."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait((self._fetch,))

    def _known(self, key_id: str, algorithm: str) -> AllowedPublicKeys | None:
        if self._clock() - self._fetched_at > _USABLE_SECONDS:
            return None
        return self._keys.get((key_id, algorithm))

    def _begin_fetch(self, is_known: bool) -> asyncio.Task[None] | None:
        """Return the fetch that is under way, or begin one if it is time."""
        if self._fetch is None and self._is_due(is_known):
            self._tried_at = self._clock()
            # Not in the context of the caller, who is one of many.
            self._fetch = asyncio.get_running_loop().create_task(
                self._refresh(), context=Context()
            )
        return self._fetch

    def _is_due(self, is_known: bool) -> bool:
        now = self._clock()
        if self._is_failing:
            return now - self._tried_at >= _RETRY_SECONDS
        if now - self._fetched_at >= _FRESH_SECONDS:
            return True
        if is_known or now - self._searched_at < _SEARCH_SECONDS:
            return False
        self._searched_at = now
        return True

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(self._fetch_seconds):
                self._keys = await self._load()
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            BodyTooLargeError,
            TimeoutError,
            ValueError,
        ) as error:
            if not self._is_failing:
                reason = f"{type(error).__name__}: {error}"[:200]
                _log.warning("identity_provider_unavailable", reason=reason)
            self._is_failing = True
        else:
            self._is_failing = False
            self._fetched_at = self._clock()
        finally:
            self._fetch = None

    async def _load(self) -> Keys:
        known = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        document = orjson.loads(await self._get(known))
        if not isinstance(document, dict) or document.get("issuer") != self._issuer:
            raise ValueError("the discovery document is of another issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str):
            raise ValueError("the discovery document names no keys")
        check_address(address)
        if _is_secure(self._issuer) and not _is_secure(address):
            raise ValueError("the discovery document leads from https to http")
        return read_keys(await self._get(address))

    async def _get(self, address: str) -> bytes:
        request = self._client.build_request(
            "GET",
            address,
            headers={"accept": "application/json", "accept-encoding": "identity"},
            timeout=self._fetch_seconds,
        )
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"status {response.status_code}")
            return await read_body(response, _MAX_DOCUMENT_BYTES)
        finally:
            await response.aclose()


def check_address(address: str) -> None:
    """Refuse an address that keys may not be fetched from.

    What it answers decides who comes in, so plain HTTP is for loopback and private
    hosts alone, whatever the environment.

    Args:
        address: Of an issuer, or its keys.

    Raises:
        ValueError: The reason.
    """
    check_base_url(address, "production")


def _is_secure(address: str) -> bool:
    return urlsplit(address).scheme == "https"
