"""Files that are whole or not there."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dgm.errors import BadInput, DgmError
from dgm.files import atomic_write, read_npz, write_npz
from dgm.report.summary import Metric, write_metrics


def test_arrays_come_back_and_their_bytes_do_not_depend_on_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays: dict[str, np.ndarray] = {
        "method=aevb,seed=0": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b/c": np.asfortranarray(np.eye(3)),
        "empty": np.empty((0, 4), np.int64),
        "scalar": np.array(2.5),
    }
    write_npz(tmp_path / "a.npz", arrays)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = read_npz(tmp_path / "a.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_nothing_is_pickled_or_unpickled(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="pickle"):
        write_npz(tmp_path / "a.npz", {"a": objects})
    assert list(tmp_path.iterdir()) == []
    np.savez(tmp_path / "a.npz", a=objects)
    with pytest.raises(DgmError, match=r"a\.npz: is not readable as arrays"):
        read_npz(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:100])
    with pytest.raises(DgmError, match=r"b\.npz: is not readable as arrays"):
        read_npz(tmp_path / "b.npz")
    with pytest.raises(BadInput, match="no such results"):
        read_npz(tmp_path / "c.npz")


def test_arrays_with_a_flipped_bit_are_refused_or_whole(tmp_path: Path) -> None:
    """zipfile, zlib and numpy raise a dozen kinds of errors."""
    path = tmp_path / "a.npz"
    write_npz(path, {"a": np.arange(50.0), "b": np.eye(3)})
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (1, 16, 128):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            try:
                read_npz(path)
            except DgmError as error:
                assert str(error).startswith(f"{path}: is not readable as arrays")


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    atomic_write(path, "a long first line\n")
    atomic_write(path, "π\n")
    assert path.read_bytes() == "π\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_write_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "metrics.csv"
    path.write_text("old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DgmError) as caught:
        write_metrics(path, [Metric("a", 0, 1.0)])
    assert str(caught.value) == f"{path}: cannot be written: {os.strerror(number)}"
    assert caught.value.exit_code == 3
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_file_that_may_not_grow_further(tmp_path: Path) -> None:
    """A real refusal of the kernel's amid writing, as when the disk is full."""
    path = tmp_path / "big.npz"
    path.write_bytes(b"old")
    code = (
        "import resource, sys, numpy as np; from dgm.files import write_npz\n"
        "from dgm.errors import DgmError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_npz(sys.argv[1], {'a': np.random.default_rng(0).random(10000)})\n"
        "except DgmError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DgmError, match=r"x\.csv: cannot be written: File exists"):
        atomic_write(tmp_path / "file" / "x.csv", "a")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DgmError, match=r"x\.csv: cannot be written: Permission denied"):
        atomic_write(tmp_path / "x.csv", "a")
    tmp_path.chmod(0o700)
