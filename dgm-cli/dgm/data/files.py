"""Data sets that are files: found in $DGM_DATA or the cache, fetched from mirrors, verified.

Each set has one folder. A file is used only if its content has the SHA-256 that its set's module
gives, where one is known.
"""

import gzip
import hashlib
import io
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dgm.errors import BadInput, DgmError, MissingData

GIVE_UP = 6.0  # seconds in which some mirror has to answer


class File(NamedTuple):
    """A file as published: its name, the SHA-256 of its content, and that of the file itself.

    The content of a .gz is what it decompresses to; that of a .npy or .mat is its numbers in the
    order in which they are stored. The same content may also stand in a file of another name, or
    without its .gz. Where we have only a rebuilt copy, the published file differs from it and is
    known by its own hash. A file without hashes is taken as it is.
    """

    name: str
    content_sha256: str | None
    published_sha256: str | None  # None: we do not know the publisher's, and the content decides
    also: tuple[str, ...] = ()
    folder: str = ""  # where it lies, unless in the folder of the set's name

    @property
    def hashes(self) -> set[str]:
        """The known ones; a file that has any of them is accepted."""
        return {known for known in (self.content_sha256, self.published_sha256) if known}

    @property
    def names(self) -> tuple[str, ...]:
        return self.name, self.name.removesuffix(".gz"), *self.also

    def within(self, folder: Path, data: str) -> Path:
        """The folder of this file of a set, within one that holds sets."""
        return folder / (self.folder or data)


def folders() -> list[Path]:
    """Where data is looked for, in this order: $DGM_DATA, then the cache that `fetch` fills."""
    return [folder for folder in (_environment("DGM_DATA"), cache_folder()) if folder]


def cache_folder() -> Path | None:
    """$XDG_CACHE_HOME/dgm or ~/.cache/dgm; None for a user without a home directory."""
    base = _environment("XDG_CACHE_HOME")
    with suppress(RuntimeError):
        return (base or Path.home() / ".cache") / "dgm"
    return None


def _environment(variable: str) -> Path | None:
    """The folder that a variable names, `~` expanded; None where it is not set."""
    value = os.environ.get(variable)
    try:
        return Path(value).expanduser() if value else None
    except RuntimeError as error:
        raise BadInput(f"{variable}: {value}: no home directory is known for ~") from error


def find(data: str, file: File) -> Path | None:
    """The first copy of a file, under any of its names; None if there is none."""
    for folder in folders():
        for name in file.names:
            path = file.within(folder, data) / name
            if os.path.isfile(path) or os.path.isdir(path):  # pathlib's raise without permission
                return path
    return None


def missing(data: str, files: Sequence[File]) -> list[File]:
    """The files of a set that are not on this machine."""
    return [file for file in files if find(data, file) is None]


def why_missing(data: str, files: Sequence[File]) -> str | None:
    """Which files of a set are not on this machine and what helps, in one line; None: all are."""
    absent = missing(data, files)
    if not absent:
        return None
    first, others = absent[0], len(absent) - 1
    subject = f"{first.name} and {others} more are" if others else f"{first.name} is"
    looked = " or ".join(str(first.within(folder, data)) for folder in folders())
    return f"{data}: {subject} not in {looked or 'any folder'}; {_remedy(data, first)}"


def _remedy(data: str, file: File) -> str:
    if not file.hashes:
        return "a copy has to come from you"
    return f"`dgm data fetch {data}` gets it" if cache_folder() else NO_CACHE


NO_CACHE = "you have no home directory for a cache, so set XDG_CACHE_HOME or DGM_DATA"


def read(data: str, file: File) -> bytes:
    """The content of a file, verified; MissingData where there is none, BadInput if damaged."""
    path = find(data, file)
    if path is None:
        raise MissingData(why_missing(data, [file]))
    return _read(path, data, file)


def _read(path: Path, data: str, file: File) -> bytes:
    def damaged(how: str) -> BadInput:
        return BadInput(f"{path}: {how}; remove it, and {_remedy(data, file)}")

    try:
        raw = path.read_bytes()
    except IsADirectoryError as error:
        raise damaged("is a folder, not a file") from error
    except OSError as error:
        raise DgmError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        content = CONTENT.get(path.suffix, bytes)(raw)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # scipy's reader raises errors of many kinds
        reason = " ".join(str(error).split())
        raise damaged(f"is truncated or damaged ({reason})") from error
    if file.hashes and file.hashes.isdisjoint((_sha256(content), _sha256(raw))):
        raise damaged(f"is not {data}'s (its SHA-256 is another)")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _of_npy(raw: bytes) -> bytes:
    import numpy as np

    return np.load(io.BytesIO(raw), allow_pickle=False).tobytes()


def _of_mat(raw: bytes) -> bytes:
    """The one array of a MATLAB file, column after column as it is stored."""
    import numpy as np
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(raw))
    (array,) = (value for name, value in found.items() if not name.startswith("__"))
    return np.asarray(array).tobytes(order="F")


CONTENT: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".npy": _of_npy,
    ".mat": _of_mat,
}


def fetch(data: str, files: Sequence[File], mirrors: Sequence[str]) -> list[Path]:
    """Download a set's missing files into the cache; their paths.

    MissingData when no mirror answers or none has a file as it should be.
    """
    wanted = missing(data, files)
    if not wanted:
        return []
    cache = cache_folder()
    if cache is None:
        raise MissingData(f"{data}: cannot be downloaded: {NO_CACHE}")
    folder = wanted[0].within(cache, data)  # a set's files lie together
    answering = _answering(mirrors, wanted[0].name)
    if not answering:
        reason = f"no mirror answered within {GIVE_UP:.0f} s" if mirrors else "cannot be downloaded"
        raise MissingData(
            f"{data}: {reason}; put {', '.join(file.name for file in wanted)} into {folder} "
            f"or set DGM_DATA to the folder that holds {wanted[0].folder or data}/"
        )
    return [_download(data, file, folder, answering) for file in wanted]


def _download(data: str, file: File, folder: Path, mirrors: list[str]) -> Path:
    """A file from the first mirror that has it whole; those that fail move to the list's end."""
    import requests

    reason = ""
    for mirror in list(mirrors):
        try:
            return _retrieve(mirror, data, file, folder)
        except (requests.RequestException, ValueError, BadInput) as error:
            reason = f"{mirror}: {' '.join(str(error).split())}"
            mirrors.append(mirrors.pop(0))  # the next file is asked of another first
        except OSError as error:
            why = error.strerror or "Permission denied"  # pooch's own error has no strerror
            raise DgmError(f"{folder}: cannot be written: {why}") from error
    raise MissingData(f"{data}: {file.name} could not be downloaded: {reason}")


def _retrieve(mirror: str, data: str, file: File, folder: Path) -> Path:
    """Download a file; pooch moves it into place once it is whole and has the published hash.

    Where that is not known, the content decides.
    """
    import pooch

    published, path = file.published_sha256, folder / file.name
    pooch.get_logger().setLevel("ERROR")
    fetched = Path(
        pooch.retrieve(
            mirror + file.name,
            known_hash=f"sha256:{published}" if published else None,
            fname=file.name if published else f".fetched-{file.name}",
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=GIVE_UP),
        )
    )
    if fetched != path:
        try:
            _read(fetched, data, file)
            os.replace(fetched, path)
        finally:
            fetched.unlink(missing_ok=True)
    return path


def _answering(mirrors: Sequence[str], name: str) -> list[str]:
    """The mirrors that answer for this file, in the given order; all are asked at once.

    Each has a thread, since a name that is never resolved blocks for longer than any timeout of
    requests.
    """
    import requests

    ok = dict.fromkeys(mirrors, False)

    def ask(mirror: str) -> None:
        with suppress(OSError):  # requests' own, and a lost $REQUESTS_CA_BUNDLE
            ok[mirror] = requests.head(mirror + name, timeout=GIVE_UP, allow_redirects=True).ok

    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    deadline = time.monotonic() + GIVE_UP  # shared by all
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if ok[mirror]]
