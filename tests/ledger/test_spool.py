"""Rows on the local disk: whole or not at all, and nobody else's."""

import errno
import resource
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from llm_proxy.errors import StorageUnavailableError
from llm_proxy.ledger.segment import encode
from llm_proxy.ledger.spool import Spool

ROWS = [{"id": f"row-{number}", "note": "é\n\0" * number} for number in range(4)]


def left_behind(folder, data):
    """The spool of a process that starts after another one has died."""
    folder.mkdir(exist_ok=True)
    (folder / "ledger-1-dead.jsonl").write_bytes(data)
    spool = Spool(folder)
    spool.adopt()
    return spool


def replay(spool):
    spool.seal()
    rows = [row for segment in spool.sealed() for row in segment.read()]
    for segment in spool.sealed():
        spool.remove(segment)
    return rows


def test_rows_come_back_in_their_order(tmp_path):
    spool = Spool(tmp_path / "a" / "spool")
    spool.append(ROWS[:1])
    spool.append(ROWS[1:])
    assert spool.size == len(encode(ROWS))

    assert replay(spool) == ROWS
    assert spool.size == 0
    assert list(spool.sealed()) == list((tmp_path / "a" / "spool").iterdir()) == []


def test_only_the_owner_may_read_them(tmp_path):
    folder = tmp_path / "spool"
    Spool(folder).append(ROWS)
    (file,) = folder.iterdir()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@given(st.data())
def test_half_a_line_is_dropped_and_stops_nothing(data):
    whole = encode(ROWS)
    ends = [len(encode(ROWS[:count])) for count in range(len(ROWS) + 1)]
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as name, capture_logs() as lines:
        spool = left_behind(Path(name), whole[:cut])
        # Only its line end may be missing.
        kept = sum(end - 1 <= cut for end in ends[1:])
        assert replay(spool) == ROWS[:kept]
        is_torn = cut not in ends and cut + 1 not in ends
        dropped = [line["bytes"] for line in lines]
        assert dropped == ([cut - ends[kept]] if is_torn else [])
        assert list(Path(name).iterdir()) == []


@given(st.integers(0, len(encode(ROWS)) - 1), st.integers(1, 255))
def test_a_damaged_byte_costs_the_lines_it_is_in(place, flip):
    data = bytearray(encode(ROWS))
    data[place] ^= flip
    with tempfile.TemporaryDirectory() as name, capture_logs():
        rows = replay(left_behind(Path(name), bytes(data)))
    assert all(row in ROWS for row in rows)
    # A damaged line end makes one line of two.
    assert len(rows) >= len(ROWS) - 2


def test_files_of_the_living_are_left_alone(tmp_path):
    owner, other = Spool(tmp_path), Spool(tmp_path)
    owner.append(ROWS)
    other.adopt()
    assert (other.size, other.sealed()) == (0, [])

    owner.close()
    other.adopt()
    third = Spool(tmp_path)
    third.adopt()
    assert third.sealed() == []
    assert replay(other) == ROWS


def test_own_files_are_adopted_once(tmp_path):
    spool = Spool(tmp_path)
    spool.append(ROWS)
    spool.adopt()
    assert replay(spool) == ROWS


def test_adopted_rows_count(tmp_path):
    data = encode(ROWS)
    left_behind(tmp_path, data).close()
    spool = Spool(tmp_path, max_bytes=len(data) + 10)
    spool.adopt()
    with pytest.raises(StorageUnavailableError) as caught:
        spool.append(ROWS)
    assert caught.value.log_detail == "the ledger's spool is full"
    replay(spool)
    spool.append(ROWS)


def test_a_group_that_does_not_fit_is_not_begun(tmp_path):
    spool = Spool(tmp_path, max_bytes=len(encode(ROWS)) - 1)
    with pytest.raises(StorageUnavailableError):
        spool.append(ROWS)
    spool.append(ROWS[:2])
    assert replay(spool) == ROWS[:2]


def test_large_spools_have_several_files(tmp_path):
    spool = Spool(tmp_path)
    row = {"id": "x" * 1_000_000}
    for _ in range(9):
        spool.append([row])
    assert len(list(tmp_path.iterdir())) == 2
    spool.remove(spool.sealed()[0])
    assert len(replay(spool)) == 9 - 5


@pytest.fixture
def limit():
    """Lets files grow to so many bytes, as if the disk were full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_costs_only_what_it_refuses(tmp_path, limit):
    spool = Spool(tmp_path)
    spool.append(ROWS[:1])
    # The next line is written in part.
    limit(spool.size + 20)
    with pytest.raises(StorageUnavailableError) as caught:
        spool.append(ROWS[1:])
    limit(resource.RLIM_INFINITY)
    assert caught.value.log_detail == (
        "the ledger's spool cannot be used: File too large"
    )
    # Nothing is added to a file that may have taken harm.
    spool.append(ROWS[3:])
    assert len(list(tmp_path.iterdir())) == 2
    with capture_logs() as lines:
        assert replay(spool) == [ROWS[0], ROWS[3]]
    assert lines == []


def test_a_disk_that_stays_full_has_no_more_files_with_each_row(tmp_path, limit):
    spool = Spool(tmp_path)
    limit(20)
    for _ in range(3):
        with pytest.raises(StorageUnavailableError):
            spool.append(ROWS)
    assert (spool.sealed(), list(tmp_path.iterdir())) == ([], [])
    limit(resource.RLIM_INFINITY)
    spool.append(ROWS)
    assert replay(spool) == ROWS


def test_a_file_whose_name_may_be_lost_is_not_kept(tmp_path, monkeypatch):
    def fail(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("llm_proxy.ledger.segment._sync_folder", fail)
        with pytest.raises(StorageUnavailableError):
            spool.append(ROWS)
    assert list(tmp_path.iterdir()) == []
    spool.append(ROWS)
    assert replay(spool) == ROWS


def test_closing_leaves_rows_and_no_empty_files(tmp_path):
    spool = left_behind(tmp_path, b"")
    spool.append(ROWS)
    spool.close()
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == encode(ROWS)


def test_a_file_that_is_set_aside_is_not_replayed(tmp_path):
    spool = Spool(tmp_path)
    spool.append(ROWS)
    spool.seal()
    spool.set_aside(spool.sealed()[0])
    spool.adopt()
    assert (spool.size, spool.sealed()) == (0, [])
    (file,) = tmp_path.iterdir()
    assert (file.suffix, file.read_bytes()) == (".refused", encode(ROWS))
