"""Where tests of data look for files, and the real sets, each read once."""

import gzip
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dgm import data
from dgm.data.files import File


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """$DGM_DATA, an empty folder; the cache is `cache/dgm` beside it and is not made yet."""
    monkeypatch.setenv("DGM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("no_proxy", raising=False)  # requests reads the lower case first
    (tmp_path / "data").mkdir()
    data.load.cache_clear()
    yield tmp_path / "data"
    data.load.cache_clear()


@pytest.fixture
def put(places: Path) -> Callable[..., tuple[File, ...]]:
    """Puts files of a set with given contents where the set looks for them; a File of each."""

    def put(name: str, *contents: bytes) -> tuple[File, ...]:
        made = []
        for file, content in zip(data.files_of(name), contents, strict=True):
            path = file.within(places, name) / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
            made.append(file._replace(content_sha256=hashlib.sha256(content).hexdigest()))
        return tuple(made)

    return put


@pytest.fixture(scope="session")
def real() -> Callable[[str], Any]:
    """Reads a set as it is published; skips the test where it is not on this machine."""

    @cache
    def read(name: str) -> Any:
        return data.module(name).load()

    def real(name: str) -> Any:
        if why := data.missing(name):
            pytest.skip(why)
        return read(name)

    return real
