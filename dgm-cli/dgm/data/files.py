"""Data sets that are files: found in $DGM_DATA or the cache, fetched from mirrors, verified.

A set has one folder. Nothing is used unless its content has the hash that is written here, where
one is known.
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

import numpy as np

from dgm.errors import BadInput, DgmError, MissingData

GIVE_UP = 6.0  # seconds in which some mirror has to answer


class File(NamedTuple):
    """A file as published: its name, the SHA-256 of what is in it, and that of the file itself.

    What is in it: a .gz decompressed, the numbers of a .npy or .mat in the order in which they
    lie. The same content may also be found in a file of another name, or without its .gz. Where
    only a rebuilt file could be had here, the published one differs and is known by its own hash.
    Of a file that nobody here has seen neither is known, and it is taken as it is.
    """

    name: str
    content_sha256: str | None
    published_sha256: str | None  # None: the publisher's is not known, and the content's decides
    also: tuple[str, ...] = ()
    folder: str = ""  # where it lies when that is not the folder of the set's name

    @property
    def hashes(self) -> set[str]:
        """Those that are known, any of which will do."""
        return {known for known in (self.content_sha256, self.published_sha256) if known}

    @property
    def names(self) -> tuple[str, ...]:
        return self.name, self.name.removesuffix(".gz"), *self.also

    def within(self, folder: Path, data: str) -> Path:
        """The folder of this file of a set, within one that holds sets."""
        return folder / (self.folder or data)


def folders() -> list[Path]:
    """Where data is looked for, in this order: $DGM_DATA, then the cache that `fetch` fills."""
    own = os.environ.get("DGM_DATA")
    return [*([Path(own)] if own else []), cache_folder()]


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dgm"


def find(data: str, file: File) -> Path | None:
    """The file of a set, under any of its names, where it first is."""
    for folder in folders():
        for name in file.names:
            path = file.within(folder, data) / name
            if os.path.isfile(path):  # Path.is_file raises where a folder may not be entered
                return path
    return None


def missing(data: str, files: Sequence[File]) -> list[str]:
    """The names of the files of a set that are not on this machine."""
    return [file.name for file in files if find(data, file) is None]


def read(data: str, file: File) -> bytes:
    """What is in a file, verified."""
    path = find(data, file)
    if path is None:
        looked = " or ".join(str(file.within(folder, data)) for folder in folders())
        raise MissingData(f"{data}: {file.name} is not in {looked}; {_remedy(data, file)}")
    return _read(path, data, file)


def _read(path: Path, data: str, file: File) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DgmError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        content = CONTENT.get(path.suffix, bytes)(raw)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # of whatever kind: scipy's reader has many
        said = " ".join(str(error).split())
        raise BadInput(
            f"{path}: is truncated or damaged ({said}); remove it, and {_remedy(data, file)}"
        ) from error
    if file.hashes and file.hashes.isdisjoint((_sha256(content), _sha256(raw))):
        said = f"is not {data}'s (its SHA-256 is another)"
        raise BadInput(f"{path}: {said}; remove it, and {_remedy(data, file)}")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _of_npy(raw: bytes) -> bytes:
    return np.load(io.BytesIO(raw), allow_pickle=False).tobytes()


def _of_mat(raw: bytes) -> bytes:
    """The one array of a MATLAB file, column after column as it lies there."""
    from scipy.io import loadmat

    found = loadmat(io.BytesIO(raw))
    (array,) = (value for name, value in found.items() if not name.startswith("__"))
    return np.asarray(array).tobytes(order="F")


CONTENT: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".npy": _of_npy,
    ".mat": _of_mat,
}


def _remedy(data: str, file: File) -> str:
    return f"`dgm data fetch {data}` gets it" if file.hashes else "only you can put it there"


def fetch(data: str, files: Sequence[File], mirrors: Sequence[str]) -> list[Path]:
    """Download a set's missing files into the cache; MissingData when no mirror answers.

    pooch checks each file's hash and moves it into place only when whole.
    """
    wanted = [file for file in files if find(data, file) is None]
    if not wanted:
        return []
    import pooch
    import requests

    folder = wanted[0].within(cache_folder(), data)  # a set's files lie together
    answering = _answering(mirrors, wanted[0].name)
    if not answering:
        said = f"no mirror answered within {GIVE_UP:.0f} s" if mirrors else "cannot be downloaded"
        raise MissingData(
            f"{data}: {said}; "
            f"put {', '.join(file.name for file in wanted)} into {folder} "
            f"or set DGM_DATA to the folder that holds {wanted[0].folder or data}/"
        )
    said = ""
    got = []
    pooch.get_logger().setLevel("ERROR")
    for file in wanted:
        for mirror in list(answering):
            try:
                published = file.published_sha256
                fetched = pooch.retrieve(
                    mirror + file.name,
                    known_hash=f"sha256:{published}" if published else None,
                    fname=file.name if published else f".fetched-{file.name}",
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=GIVE_UP),
                )
                if not published:
                    _keep_if_whole(Path(fetched), folder / file.name, data, file)
                got.append(folder / file.name)
                break
            except (requests.RequestException, ValueError, BadInput) as error:
                said = f"{mirror}: {' '.join(str(error).split())}"
                answering.append(answering.pop(0))  # the next file is asked of another first
            except OSError as error:
                why = error.strerror or "Permission denied"  # pooch's own has no strerror
                raise DgmError(f"{folder}: cannot be written: {why}") from error
        else:
            raise MissingData(f"{data}: {file.name} could not be downloaded: {said}")
    return got


def _keep_if_whole(fetched: Path, path: Path, data: str, file: File) -> None:
    """Move a download into place; BadInput, and it is gone, when its content is not the known."""
    try:
        _read(fetched, data, file)
        os.replace(fetched, path)
    finally:
        with suppress(FileNotFoundError):
            fetched.unlink()


def _answering(mirrors: Sequence[str], name: str) -> list[str]:
    """The mirrors that answer for this file, in the given order; all are asked at once.

    Threads, since a name that is never resolved blocks for longer than any timeout of requests.
    """
    import requests

    ok = dict.fromkeys(mirrors, False)

    def ask(mirror: str) -> None:
        with suppress(OSError):  # requests' own, and a lost $REQUESTS_CA_BUNDLE
            ok[mirror] = requests.head(mirror + name, timeout=GIVE_UP, allow_redirects=True).ok

    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    deadline = time.monotonic() + GIVE_UP  # theirs together
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if ok[mirror]]
