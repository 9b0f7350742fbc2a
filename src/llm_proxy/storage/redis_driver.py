"""redis-py: what an address means to it, and which of its errors are the server's."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.settings import ConfigurationError
from llm_proxy.storage.faults import unavailable

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

# Whoever asks has a limit for everything, and decides about trying again.
_FIXED: dict[str, Any] = {
    "protocol": 2,
    "decode_responses": False,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "retry_on_timeout": False,
    "driver_info": None,
}
# Answers without an exception of their own.
# Source: Redis, src/server.c, src/networking.c, src/script.c.
_TROUBLE = (
    "ACL failure in script",
    "BUSY ",
    "DENIED ",
    "MISCONF ",
    "NOREPLICAS ",
    # Also to a client who has to say a password first, if its command is a long one.
    "Protocol error",
    "The user executing the script can't run this command",
)


class RefusedCommandError(StorageUnavailableError):
    """Redis works, and will not carry out this command, such as for what a key has."""


def connector(url: str) -> Callable[[], "AbstractConnection"]:
    """Read the address of a Redis.

    Args:
        url: Begins with ``redis://``, ``rediss://`` (TLS) or ``unix://``; its query may
            have options of redis-py.

    Returns:
        Makes connections, which are not connected yet.

    Raises:
        ConfigurationError: The driver is not installed, or the address is not valid;
            the text does not repeat it, because of the password.
    """
    try:
        from redis.asyncio.connection import Connection, parse_url
    except ImportError:
        raise ConfigurationError(
            'REDIS_URL: needs the extra: pip install "llm-proxy[redis]"'
        ) from None
    try:
        _check(url)
        options: dict[str, Any] = {**parse_url(url), **_FIXED}
        make = partial(options.pop("connection_class", Connection), **options)
        # Only a connection knows which options there are.
        make()
    except (TypeError, ValueError):
        raise ConfigurationError(
            "REDIS_URL: is no valid address; it must begin with redis://, rediss:// or "
            "unix://, and special characters of a password must be written as %XX"
        ) from None
    return make


def _check(url: str) -> None:
    """Refuse what redis-py would read as something else than is meant."""
    parts = urlsplit(url)
    database = parts.path.removeprefix("/")
    is_number = database.isdecimal() or not database
    if parts.fragment or (parts.scheme != "unix" and not is_number):
        raise ValueError


@contextmanager
def reported() -> Generator[None]:
    """Tell the trouble of the server from that of a command, which passes as it is.

    Yields:
        Nothing.

    Raises:
        StorageUnavailableError: The server is not there, or cannot do its work.
    """
    from redis.exceptions import RedisError

    try:
        yield
    except (OSError, RedisError, ValueError) as error:
        # A ValueError is the driver's about an answer that it cannot read.
        if not is_trouble(error):
            raise
        raise unavailable(error) from error


@contextmanager
def answered() -> Generator[None]:
    """Let what Redis has said against a command be trouble for those who need it.

    Yields:
        Nothing.

    Raises:
        RefusedCommandError: It has.
    """
    from redis.exceptions import ResponseError

    try:
        yield
    except ResponseError as error:
        raise RefusedCommandError(log_detail=unavailable(error).log_detail) from error


def is_trouble(error: Exception) -> bool:
    """Decide whether an error is the server's.

    Args:
        error: As the driver raises it.

    Returns:
        False for what Redis says against one command alone.
    """
    from redis import exceptions

    if isinstance(error, exceptions.ResponseError):
        known = (
            exceptions.ClusterDownError,
            exceptions.NoPermissionError,
            exceptions.ReadOnlyError,
            exceptions.TryAgainError,
        )
        return isinstance(error, known) or str(error).startswith(_TROUBLE)
    return not isinstance(error, exceptions.DataError)
