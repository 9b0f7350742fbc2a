"""One file of a spool: rows as lines of JSON, each behind its checksum."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Self
from zlib import crc32

import orjson

from llm_proxy.ledger.rows import Record
from llm_proxy.telemetry import get_logger

if sys.platform != "win32":
    import fcntl

_log = get_logger(__name__)

SUFFIX = ".jsonl"
_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
_CHECKSUM_CHARS = 8


class Segment:
    """A file that belongs to this process for as long as it holds the file's lock.

    The system gives the lock back when the process dies, however it dies. Windows has
    no such lock: there only one process may use a folder.

    Attributes:
        path: Where the file is.
        size: Its length in bytes.
    """

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.size = os.fstat(file).st_size
        self._file = file

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make a new file.

        Args:
            folder: Where to make it.

        Returns:
            The file, which is empty.

        Raises:
            OSError: The system does not let us.
        """
        while True:
            path = folder / f"ledger-{os.getpid()}-{token_hex(4)}{SUFFIX}"
            file = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            # A process that starts at this moment may take it for an orphan.
            if _is_ours(path, file):
                break
            os.close(file)
        try:
            _sync_folder(folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        return cls(path, file)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Take over the file of a process that is dead.

        Args:
            path: Where the file is.

        Returns:
            The file; None if its owner lives, or somebody else was quicker.

        Raises:
            OSError: The system does not let us.
        """
        try:
            file = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        if _is_ours(path, file):
            return cls(path, file)
        os.close(file)
        return None

    def append(self, data: bytes) -> None:
        """Add lines, which are on the disk afterwards.

        Args:
            data: What `encode` has made.

        Raises:
            OSError: They are not on the disk; the file must not be added to again.
        """
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)

    def read(self) -> list[Record]:
        """Read all rows that are whole.

        A process that is killed while it writes leaves half a line behind. Nobody has
        been told that its row is durable.

        Returns:
            The rows, oldest first.

        Raises:
            OSError: The file cannot be read.
        """
        # A second descriptor of the file does not let go of its lock.
        lines = self.path.read_bytes().split(b"\n")
        rows = []
        for number, line in enumerate(lines, 1):
            row = _decode(line)
            if row is not None:
                rows.append(row)
            elif line:
                _log.warning(
                    "ledger_line_dropped",
                    file=self.path.name,
                    line=number,
                    bytes=len(line),
                )
        return rows

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def set_aside(self) -> None:
        """Keep the file under a name that nobody replays."""
        self.close()
        self.path.rename(self.path.with_suffix(".refused"))

    def close(self) -> None:
        """Let go of the file, so that another process may take it over."""
        os.close(self._file)


def encode(rows: Iterable[Record]) -> bytes:
    """Write rows the way a segment holds them.

    Args:
        rows: The rows.

    Returns:
        One line for each: the CRC-32 of its JSON in hexadecimal, a space, its JSON.
    """
    return b"".join(
        b"%08x %b\n" % (crc32(text), text) for text in map(orjson.dumps, rows)
    )


def _decode(line: bytes) -> Record | None:
    checksum, text = line[:_CHECKSUM_CHARS], line[_CHECKSUM_CHARS + 1 :]
    if not text or checksum != b"%08x" % crc32(text):
        return None
    row: Record = orjson.loads(text)
    return row


def _is_ours(path: Path, file: int) -> bool:
    """Lock a file, and make sure that it has not been deleted in between."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """Let a new file's name survive a power cut."""
    if sys.platform != "win32":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
