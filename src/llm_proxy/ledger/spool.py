"""Keeps rows on the local disk for as long as the database does not take them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger.rows import Record
from llm_proxy.ledger.segment import SUFFIX, Segment, encode
from llm_proxy.telemetry import get_logger

_log = get_logger(__name__)

_DEFAULT_MAX_BYTES = 64 * 1024 * 1024
# Small enough to be read at once, and large enough for few files to be open.
_SEGMENT_BYTES = 4 * 1024 * 1024


class Spool:
    """A bounded number of rows in files of a folder, which processes may share.

    Rows are added to one file; the others wait to be replayed, together with the files
    that dead processes have left. Everything here blocks, and is used by one thread at
    a time; only `size` may be read by others.

    Args:
        folder: Where the files are; made when it is needed.
        max_bytes: How much all files of this process may hold.

    Attributes:
        size: Bytes of all rows that wait to be replayed.
    """

    def __init__(self, folder: Path, max_bytes: int = _DEFAULT_MAX_BYTES) -> None:
        self.size = 0
        self._folder = folder
        self._max_bytes = max_bytes
        self._open: Segment | None = None
        self._sealed: list[Segment] = []

    def append(self, rows: Sequence[Record]) -> None:
        """Add rows, which survive a crash and a power cut afterwards.

        Args:
            rows: All of them are added, or none.

        Raises:
            StorageUnavailableError: The spool or the disk is full, or the disk does not
                work.
        """
        data = encode(rows)
        if self.size + len(data) > self._max_bytes:
            raise StorageUnavailableError(log_detail="the ledger's spool is full")
        try:
            self._writable().append(data)
        except OSError as error:
            # What is in a file after a failed write is not known.
            self._leave_open()
            raise _unusable(error) from error
        self.size += len(data)

    def _writable(self) -> Segment:
        if self._open is not None and self._open.size >= _SEGMENT_BYTES:
            self.seal()
        if self._open is None:
            self._make_folder()
            self._open = Segment.create(self._folder)
        return self._open

    def adopt(self) -> None:
        """Take over the files of dead processes.

        Raises:
            StorageUnavailableError: The folder cannot be made or read.
        """
        try:
            self._make_folder()
            held = {segment.path for segment in (self._open, *self._sealed) if segment}
            for path in sorted(self._folder.glob(f"ledger-*{SUFFIX}")):
                if path not in held:
                    self._adopt(path)
        except OSError as error:
            raise _unusable(error) from error

    def _adopt(self, path: Path) -> None:
        try:
            segment = Segment.adopt(path)
        except PermissionError:
            _log.warning("ledger_spool_unreadable", file=path.name)
            return
        if segment is not None:
            self._sealed.append(segment)
            self.size += segment.size

    def seal(self) -> None:
        """Add nothing more to the current file; the next row makes another."""
        if self._open is not None:
            self._sealed.append(self._open)
            self._open = None

    def _leave_open(self) -> None:
        """Seal the current file; one without a row would be one more with each try."""
        if self._open is not None and not self._open.size:
            with suppress(OSError):
                self._open.remove()
            self._open = None
        self.seal()

    def sealed(self) -> list[Segment]:
        """List the files that may be replayed.

        Returns:
            Files to which nobody adds any more.
        """
        return list(self._sealed)

    def remove(self, segment: Segment) -> None:
        """Delete a file whose rows are all in the database.

        Args:
            segment: One of `sealed`.
        """
        self._forget(segment)
        segment.remove()

    def set_aside(self, segment: Segment) -> None:
        """Leave a file to the operator: the database works and refuses a row of it.

        Args:
            segment: One of `sealed`.
        """
        self._forget(segment)
        segment.set_aside()

    def close(self) -> None:
        """Let go of all files; the next process takes over those that hold rows."""
        self.seal()
        for segment in self.sealed():
            self._forget(segment)
            if segment.size:
                segment.close()
            else:
                segment.remove()

    def _forget(self, segment: Segment) -> None:
        # Before its file is closed: whatever goes wrong then, it is only found again.
        self._sealed.remove(segment)
        self.size -= segment.size

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _unusable(error: OSError) -> StorageUnavailableError:
    return StorageUnavailableError(
        log_detail=f"the ledger's spool cannot be used: {error.strerror}"
    )
