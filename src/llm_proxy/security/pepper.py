"""The secret without which nobody can tell what a stored key was made from."""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from llm_proxy.settings import ConfigurationError
from llm_proxy.variables import HOSTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_proxy.settings import Settings
    from llm_proxy.storage.address import SQLiteAddress

_MIN_LENGTH = 32
_FILE_NAME = "key-pepper"


class Pepper:
    """Turns the secrets of keys into digests, which are stored in their place.

    Args:
        load: Reads the pepper, when it is needed for the first time.
    """

    def __init__(self, load: Callable[[], bytes]) -> None:
        self._load = load

    @cached_property
    def _value(self) -> bytes:
        return self._load()

    def digest(self, secret: str) -> str:
        """Compute what is stored of a secret.

        Args:
            secret: A well-formed one.

        Returns:
            Its HMAC-SHA256 (RFC 2104), in hexadecimal.

        Raises:
            ConfigurationError: There is no pepper, or its file cannot be used.
        """
        return hmac.digest(self._value, secret.encode("ascii"), "sha256").hex()


def find_pepper(settings: Settings) -> Pepper:
    """Find the pepper of the settings: ``KEY_PEPPER``, or a file of our own.

    The file lies beside the database's, or else beside the spool's folder. It is made
    when it is needed and missing, unless `is_pepper_missing`.

    Args:
        settings: Also say where the database and the spool are.

    Returns:
        The pepper; a missing one is told by its first use.

    Raises:
        ConfigurationError: ``KEY_PEPPER`` is too short, or is another secret as well.
    """
    given = settings.key_pepper
    if given is not None:
        value = given.get_secret_value()
        if len(value) < _MIN_LENGTH:
            raise ConfigurationError(
                f"KEY_PEPPER: shorter than {_MIN_LENGTH} characters"
            )
        if value in _other_secrets(settings):
            raise ConfigurationError("KEY_PEPPER: must not be another secret as well")
        return Pepper(lambda: value.encode("utf-8", "surrogatepass"))
    if is_pepper_missing(settings):
        return Pepper(_refuse)
    return Pepper(lambda: _read_file(_folder(settings) / _FILE_NAME))


def is_pepper_missing(settings: Settings) -> bool:
    """Tell whether there can be no keys, because ``KEY_PEPPER`` is not set.

    A file of our own would not do in staging and production, whose machines come and
    go, nor for a database that several machines use: each would have another one.

    Args:
        settings: Also say where the database is.

    Returns:
        Whether it has to be set and is not.
    """
    if settings.key_pepper is not None:
        return False
    return settings.environment in HOSTED or _sqlite(settings) is None


def _other_secrets(settings: Settings) -> Iterator[str]:
    yield from settings.tokens.values()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name != "key_pepper" and isinstance(value, SecretStr):
            yield value.get_secret_value()


def _refuse() -> bytes:
    raise ConfigurationError(
        "KEY_PEPPER: required for virtual keys in staging, production and on Postgres; "
        f"any secret of at least {_MIN_LENGTH} characters that never changes"
    )


def _folder(settings: Settings) -> Path:
    address = _sqlite(settings)
    if address is not None and address.path is not None:
        return address.path.parent
    return settings.spool_dir.absolute().parent


def _sqlite(settings: Settings) -> SQLiteAddress | None:
    # It brings SQLAlchemy, which whoever has keys has imported already.
    from llm_proxy.storage.address import SQLiteAddress, read_address

    address = read_address(settings.database_url.get_secret_value())
    return address if isinstance(address, SQLiteAddress) else None


def _read_file(path: Path) -> bytes:
    try:
        if not path.exists():
            _make_file(path)
        value = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if len(value) < _MIN_LENGTH:
        raise ConfigurationError(f"{path}: shorter than {_MIN_LENGTH} characters")
    return value


def _make_file(path: Path) -> None:
    """Make the file with all that is in it at once; the first of several makers wins.

    A link is made or refused as a whole, so that no process reads half a pepper, and
    no crash leaves one.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Readable by its owner alone, as `tempfile` makes files.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-") as draft:
        draft.write(secrets.token_urlsafe(32).encode())
        draft.flush()
        os.fsync(draft.fileno())
        try:
            os.link(draft.name, path)
        except FileExistsError:
            return
