"""Tells whether another process works with the same SQLite file, and counts apart."""

import os
from pathlib import Path


class ProcessLock:
    """A lock that its process holds until it ends, however it ends.

    Processes that count together hold it together; nobody else holds it beside them.

    Args:
        path: A file beside the database; made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, *, shared: bool) -> bool:
        """Take the lock.

        Args:
            shared: Whether others may have it as well, if they say the same.

        Returns:
            Whether this process has it. True where the system has no such locks.

        Raises:
            OSError: The file cannot be made.
        """
        try:
            import fcntl
        except ImportError:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back, if it was taken."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
