"""Signs requests to Amazon Web Services (Signature Version 4)."""

import asyncio
import importlib.util
from typing import Any

from llm_proxy.errors import LLMCredentialsError, ProviderNotConfiguredError

# Botocore's own time for a renewal that nobody has to wait for.
_EARLY_SECONDS = 15 * 60
# Keys that are nearer to their end may not survive the way to the upstream.
_LATE_SECONDS = 60
# Hashing one megabyte takes a millisecond or two.
_LARGE_BYTES = 1 << 20


class Signer:
    """Signs with the credentials that botocore finds.

    Those may come from the environment, a profile, the role of a container or of a
    machine. Finding and renewing them blocks, so it happens in a thread, once for all
    who wait.

    Args:
        provider: The provider's name, for errors.
        region: Such as ``eu-central-1``; empty for what the profile says.
        service: The name by which AWS signs for the service.
        session: A session of botocore; None makes one on first use.

    Raises:
        ProviderNotConfiguredError: The extra ``aws`` is not installed.
    """

    def __init__(
        self,
        provider: str,
        region: str = "",
        service: str = "bedrock",
        session: Any = None,  # noqa: ANN401 - botocore has no types
    ) -> None:
        if importlib.util.find_spec("botocore") is None:
            raise ProviderNotConfiguredError(
                f"The provider {provider!r} is not configured on this server",
                log_detail='install the extra: pip install "llm-proxy[aws]"',
            )
        self._provider = provider
        self._region = region
        self._service = service
        self._session = session
        self._source: Any = None
        self._keys: Any = None
        self._renewal: asyncio.Task[None] | None = None

    async def headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        """Sign one request, as of now.

        Args:
            method: Such as ``POST``.
            url: Where it goes; its path is encoded already.
            body: What it carries.

        Returns:
            The headers to add.

        Raises:
            ProviderNotConfiguredError: There are no credentials, or no region.
            LLMCredentialsError: There should be some and they cannot be had.
        """
        if self._keys is None or self._ends_within(_LATE_SECONDS):
            # Shielded, because others wait for it too.
            await asyncio.shield(self._renew())
        elif self._ends_within(_EARLY_SECONDS):
            self._renew()
        if len(body) > _LARGE_BYTES:
            return await asyncio.to_thread(self._sign, method, url, body)
        return self._sign(method, url, body)

    def _sign(self, method: str, url: str, body: bytes) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method, url, data=body)
        SigV4Auth(self._keys, self._service, self._region).add_auth(request)
        return dict(request.headers.items())

    def _ends_within(self, seconds: int) -> bool:
        """Tell whether the keys are temporary and about to end."""
        needs_refresh = getattr(self._source, "refresh_needed", None)
        return needs_refresh is not None and bool(needs_refresh(refresh_in=seconds))

    def _renew(self) -> "asyncio.Task[None]":
        """Start to fetch keys, unless somebody is at it already."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(asyncio.to_thread(self._fetch))
            self._renewal.add_done_callback(_note_failure)
        return self._renewal

    def _fetch(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._find_source()
            self._keys = self._source.get_frozen_credentials()
        except (BotoCoreError, ClientError, RuntimeError) as error:
            # Botocore raises the last one for fresh credentials that have ended.
            raise LLMCredentialsError(
                provider=self._provider, log_detail=type(error).__name__
            ) from error

    def _find_source(self) -> None:
        if self._source is not None:
            return
        if self._session is None:
            import botocore.session

            self._session = botocore.session.get_session()
        region = self._region or self._session.get_config_variable("region")
        if not region:
            raise self._not_configured("AWS_REGION is not set")
        source = self._session.get_credentials()
        if source is None:
            raise self._not_configured("there are no AWS credentials")
        self._region, self._source = region, source

    def _not_configured(self, why: str) -> ProviderNotConfiguredError:
        return ProviderNotConfiguredError(
            f"The provider {self._provider!r} is not configured on this server",
            log_detail=why,
        )


def _note_failure(renewal: "asyncio.Task[None]") -> None:
    """Take note for those who do not wait; the next request tries again."""
    if not renewal.cancelled():
        renewal.exception()
