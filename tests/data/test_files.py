"""Files of data sets: found, read and verified, damaged, and fetched from real local servers."""

import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from dgm import data
from dgm.data import files
from dgm.data.files import File
from dgm.data.images import mnist
from dgm.errors import BadInput, DgmError, MissingData

CONTENT = bytes(range(256)) * 400  # 100 kB, more than what a socket takes at once
FORMS = {"toy.gz": gzip.compress(CONTENT, mtime=0), "toy": CONTENT}


def described(name: str, content: bytes) -> tuple[File, bytes]:
    """A File and what is in it."""
    packed = gzip.compress(content, mtime=0)
    hashes = [hashlib.sha256(part).hexdigest() for part in (content, packed)]
    return File(name, hashes[0], hashes[1]), packed


TOY, PACKED = described("toy.gz", CONTENT)
OTHER, OTHER_PACKED = described("other.gz", b"other")


@pytest.fixture
def own(places: Path) -> Path:
    """The set's folder in $DGM_DATA."""
    folder = places / "toy"
    folder.mkdir()
    return folder


@pytest.fixture
def cache(own: Path) -> Path:
    """The set's folder in the cache, which `fetch` has to make."""
    return own.parents[1] / "cache" / "dgm" / "toy"


# --- MNIST -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("place", ["own", "cache"])
def test_a_file_is_read_compressed_or_not(own: Path, cache: Path, name: str, place: str) -> None:
    folder = {"own": own, "cache": cache}[place]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(FORMS[name])
    assert files.find("toy", TOY) == folder / name
    assert files.missing("toy", [TOY, OTHER]) == [OTHER]
    assert files.read("toy", TOY) == CONTENT


def test_another_compression_of_the_same_content_is_accepted(own: Path) -> None:
    (own / "toy.gz").write_bytes(gzip.compress(CONTENT, 1, mtime=7))
    assert files.read("toy", TOY) == CONTENT


def test_a_rebuilt_file_and_the_published_one_may_differ(own: Path) -> None:
    rebuilt = File("toy.gz", OTHER.content_sha256, TOY.published_sha256)
    (own / "toy.gz").write_bytes(PACKED)
    assert files.read("toy", rebuilt) == CONTENT
    (own / "toy.gz").write_bytes(gzip.compress(b"other", 1, mtime=7))
    assert files.read("toy", rebuilt) == b"other"
    (own / "toy.gz").write_bytes(gzip.compress(CONTENT, 1, mtime=7))
    with pytest.raises(BadInput, match="is not toy's"):
        files.read("toy", rebuilt)


NUMBERS = np.arange(600, dtype=np.uint8).reshape(20, 30)


def numpy_file(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype == object)
    return buffer.getvalue()


def matlab_file(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays)
    return buffer.getvalue()


ARRAY = File("a.mat", hashlib.sha256(NUMBERS.tobytes()).hexdigest(), None, ("b.npy",))
STORED = {"a.mat": matlab_file(ff=NUMBERS.T), "b.npy": numpy_file(NUMBERS)}


@pytest.mark.parametrize("name", STORED)
def test_an_array_is_the_same_from_either_kind_of_file(own: Path, name: str) -> None:
    """A MATLAB file's columns are what a NumPy file has as rows."""
    (own / name).write_bytes(STORED[name])
    assert not files.missing("toy", [ARRAY])
    assert files.read("toy", ARRAY) == NUMBERS.tobytes()


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a.mat", STORED["a.mat"][:-30]),
        ("a.mat", STORED["a.mat"][:100]),
        ("a.mat", b""),
        ("a.mat", b"<html>moved</html>" * 20),
        ("a.mat", matlab_file(ff=NUMBERS)),
        ("a.mat", matlab_file(ff=NUMBERS.T, gg=NUMBERS)),
        ("b.npy", STORED["b.npy"][:-1]),
        ("b.npy", b"\x80\x04N."),
        ("b.npy", numpy_file(NUMBERS.T.copy())),
        ("b.npy", numpy_file(np.array([{}], dtype=object))),  # would have to be unpickled
    ],
    ids=range(10),  # a MATLAB file has the time of its making in it
)
def test_a_damaged_array_is_bad_input(own: Path, name: str, stored: bytes) -> None:
    (own / name).write_bytes(stored)
    with pytest.raises(BadInput) as caught:
        files.read("toy", ARRAY)
    assert str(caught.value).startswith(f"{own / name}: is ")
    assert "\n" not in str(caught.value)


def test_folders(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.folders() == [tmp_path / "data", tmp_path / "cache" / "dgm"]
    monkeypatch.setenv("DGM_DATA", "~/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/kept")
    assert files.folders() == [tmp_path / "home" / "data", tmp_path / "home" / "kept" / "dgm"]
    monkeypatch.setenv("DGM_DATA", "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.folders() == [tmp_path / "home" / ".cache" / "dgm"]


def nameless() -> int:
    return 2_000_000_011  # a user whom no one has given a name or a home directory


@pytest.fixture
def homeless(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os, "getuid", nameless)


NO_CACHE = "you have no home directory for a cache, so set XDG_CACHE_HOME or DGM_DATA"


@pytest.mark.usefixtures("homeless")
def test_only_the_cache_needs_a_home_directory(
    own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(MissingData) as caught:
        files.read("toy", TOY)
    assert str(caught.value) == f"toy: toy.gz is not in {own}; {NO_CACHE}"
    with pytest.raises(MissingData) as caught:
        files.fetch("toy", [TOY], [])
    assert str(caught.value) == f"toy: cannot be downloaded: {NO_CACHE}"
    (own / "toy.gz").write_bytes(PACKED)
    assert files.read("toy", TOY) == CONTENT
    assert files.fetch("toy", [TOY], []) == []
    monkeypatch.delenv("DGM_DATA")
    with pytest.raises(MissingData, match=rf"^toy: toy\.gz is not in any folder; {NO_CACHE}$"):
        files.read("toy", TOY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    assert files.folders() == [tmp_path / "kept" / "dgm"]


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("variable", ["DGM_DATA", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("folder", ["~/data", "~no-user-of-this-name/data"])
def test_a_home_directory_that_nobody_has(
    monkeypatch: pytest.MonkeyPatch, variable: str, folder: str
) -> None:
    monkeypatch.setenv(variable, folder)
    with pytest.raises(BadInput, match=rf"^{variable}: {folder}: no home directory is known for ~"):
        files.read("toy", TOY)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be another user")
def test_the_command_line_without_a_home_directory(own: Path) -> None:
    (own.parent / "mnist").mkdir()
    for file in mnist.FILES:
        (own.parent / "mnist" / file.name).write_bytes(b"")
    start = "import os; os.setresuid(12345, 0, 0); from dgm.cli import main; main()"

    def dgm(*arguments: str) -> "subprocess.CompletedProcess[str]":
        path = str(Path(data.__file__).parents[2])
        return subprocess.run(
            [sys.executable, "-c", start, *arguments],
            env={"PYTHONPATH": path, "DGM_DATA": str(own.parent), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )

    listed = dgm("data", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert f"mnist: {own.parent / 'mnist'}\n" in listed.stdout
    fetched = dgm("data", "fetch", "reuters")
    assert fetched.returncode == 3
    assert fetched.stderr == f"error: reuters: cannot be downloaded: {NO_CACHE}\n"


ALTERED = CONTENT[:70] + b"?" + CONTENT[71:]
CRC = PACKED[:-8] + bytes(4) + PACKED[-4:]


@pytest.mark.parametrize(
    ("name", "stored", "complaint"),
    [
        ("toy.gz", PACKED[:-20], "is truncated or damaged"),
        ("toy.gz", PACKED[:-1], "is truncated or damaged"),
        ("toy.gz", PACKED[:5], "is truncated or damaged"),
        ("toy.gz", b"<html>not found</html>", "is truncated or damaged"),
        ("toy.gz", PACKED[:12] + b"\xff\xff\xff" + PACKED[15:], "is truncated or damaged"),
        ("toy.gz", CRC, "is truncated or damaged"),
        ("toy.gz", gzip.compress(ALTERED), "is not toy's"),
        ("toy.gz", b"", "is not toy's"),
        ("toy", ALTERED, "is not toy's"),
        ("toy", CONTENT[:-1], "is not toy's"),
    ],
)
def test_damage_is_bad_input(own: Path, name: str, stored: bytes, complaint: str) -> None:
    (own / name).write_bytes(stored)
    with pytest.raises(BadInput) as caught:
        files.read("toy", TOY)
    message = str(caught.value)
    assert message.startswith(f"{own / name}: {complaint} (")
    assert message.endswith("); remove it, and `dgm data fetch toy` gets it")
    assert "\n" not in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("place", ["own", "cache"])
def test_a_folder_in_place_of_a_file(own: Path, cache: Path, place: str) -> None:
    folder = {"own": own, "cache": cache}[place]
    (folder / "toy.gz").mkdir(parents=True)
    assert files.fetch("toy", [TOY], []) == []
    with pytest.raises(BadInput) as caught:
        files.read("toy", TOY)
    assert str(caught.value) == (
        f"{folder / 'toy.gz'}: is a folder, not a file; remove it, and `dgm data fetch toy` gets it"
    )


def test_a_file_that_is_not_there(own: Path, cache: Path) -> None:
    with pytest.raises(MissingData) as caught:
        files.read("toy", TOY)
    assert str(caught.value) == (
        f"toy: toy.gz is not in {own} or {cache}; `dgm data fetch toy` gets it"
    )


@pytest.mark.parametrize("folder", ["x" * 300, "data/file"])
def test_a_folder_that_cannot_be_looked_into(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Names too long and files in place of folders hold no data, and that is all."""
    (tmp_path / "data" / "file").write_text("")
    monkeypatch.setenv("DGM_DATA", str(tmp_path / folder))
    with pytest.raises(MissingData, match=r"toy: toy\.gz is not in "):
        files.read("toy", TOY)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that fails to read")
def test_a_file_that_cannot_be_read(own: Path) -> None:
    """A real refusal of the kernel's, also to root: no memory is mapped at address 0."""
    (own / "toy.gz").symlink_to("/proc/self/mem")
    with pytest.raises(DgmError) as caught:
        files.read("toy", TOY)
    assert str(caught.value) == f"{own / 'toy.gz'}: cannot be read: Input/output error"
    assert caught.value.exit_code == 3


# --- mirrors ---------------------------------------------------------------------------------


class Mirror(ThreadingHTTPServer):
    """Serves files on 127.0.0.1; answers after `delay` seconds, and may stall amid the body."""

    def __init__(self, served: dict[str, bytes], delay: float = 0, stalls: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.served, self.delay, self.stalls = served, delay, stalls
        self.closing = threading.Event()
        self.log: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_HEAD(self) -> None:
        self.server.closing.wait(self.server.delay)
        self.respond()

    def do_GET(self) -> None:
        body = self.respond()
        half = len(body) // 2 if self.server.stalls else len(body)
        self.wfile.write(body[:half])
        if self.server.stalls:
            self.wfile.flush()
            self.server.closing.wait(20)

    def respond(self) -> bytes:
        self.server.log.append(f"{self.command} {self.path}")
        body = self.server.served.get(self.path[1:])
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        return body or b""

    def log_message(self, *_: object) -> None: ...


Serve = Callable[..., Mirror]
SERVED = {"toy.gz": PACKED, "other.gz": OTHER_PACKED}


@pytest.fixture
def serve() -> Iterator[Serve]:
    mirrors: list[Mirror] = []

    def start(served: dict[str, bytes], delay: float = 0, stalls: bool = False) -> Mirror:
        mirrors.append(Mirror(served, delay, stalls))
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.close()


@pytest.fixture
def dead() -> str:
    """A mirror that refuses to be connected."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def silent() -> Iterator[str]:
    """A mirror that is connected and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_fetch_fills_the_cache(own: Path, cache: Path, serve: Serve) -> None:
    mirror = serve(SERVED)
    (own / "other.gz").write_bytes(OTHER_PACKED)  # is not fetched again
    assert files.fetch("toy", [TOY, OTHER], [mirror.url]) == [cache / "toy.gz"]
    assert mirror.log == ["HEAD /toy.gz", "GET /toy.gz"]
    assert names(cache) == ["toy.gz"]
    assert (cache / "toy.gz").read_bytes() == PACKED
    assert files.read("toy", TOY) == CONTENT
    assert files.fetch("toy", [TOY, OTHER], [mirror.url]) == []
    assert len(mirror.log) == 2


def test_a_set_in_a_folder_of_another_name(own: Path, serve: Serve, tmp_path: Path) -> None:
    file = TOY._replace(folder="toys/small")
    where = [base / "toys" / "small" for base in (tmp_path / "data", tmp_path / "cache" / "dgm")]
    with pytest.raises(MissingData, match=rf"toy\.gz is not in {where[0]} or {where[1]}; "):
        files.read("toy", file)
    assert files.fetch("toy", [file], [serve(SERVED).url]) == [where[1] / "toy.gz"]
    assert files.read("toy", file) == CONTENT
    where[0].mkdir(parents=True)
    (where[0] / "toy").write_bytes(CONTENT)
    assert files.find("toy", file) == where[0] / "toy"


def test_fetch_by_name(
    own: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "FILES", (TOY, OTHER))
    monkeypatch.setattr(mnist, "MIRRORS", (serve(SERVED).url,))
    folder = tmp_path / "cache" / "dgm" / "mnist"
    assert data.fetch("mnist") == [str(folder / "toy.gz"), str(folder / "other.gz")]
    assert data.fetch("mnist") == []


def test_a_dead_mirror_and_one_without_the_file_are_passed_over(
    cache: Path, serve: Serve, dead: str
) -> None:
    empty, whole = serve({}), serve(SERVED)
    assert files.fetch("toy", [TOY], [dead, empty.url, whole.url]) == [cache / "toy.gz"]
    assert empty.log == ["HEAD /toy.gz"]


def test_a_mirror_may_take_its_time_when_the_others_are_dead(
    cache: Path, serve: Serve, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GIVE_UP", 2.0)
    slow = serve(SERVED, delay=0.4)
    assert files.fetch("toy", [TOY], [dead, slow.url, dead]) == [cache / "toy.gz"]


@pytest.mark.parametrize("wrong", [b"<html>sign in</html>", gzip.compress(CONTENT, 1), PACKED[:-1]])
def test_wrong_bytes_are_refused(cache: Path, serve: Serve, wrong: bytes) -> None:
    liar, whole = serve({"toy.gz": wrong, "other.gz": wrong}), serve(SERVED)
    with pytest.raises(MissingData) as caught:
        files.fetch("toy", [TOY], [liar.url])
    message = str(caught.value)
    assert message.startswith(f"toy: toy.gz could not be downloaded: {liar.url}: ")
    assert "does not match the known hash" in message
    assert "\n" not in message
    assert names(cache) == []
    assert len(files.fetch("toy", [TOY, OTHER], [liar.url, whole.url])) == 2
    assert files.read("toy", TOY) == CONTENT
    assert names(cache) == ["other.gz", "toy.gz"]
    assert "GET /other.gz" not in liar.log  # once is enough


def test_without_the_publishers_hash_the_content_decides(cache: Path, serve: Serve) -> None:
    wrong = serve({"a.mat": matlab_file(ff=NUMBERS.T + 1)})
    with pytest.raises(MissingData, match=r"could not be downloaded: .*its SHA-256 is another"):
        files.fetch("toy", [ARRAY], [wrong.url])
    assert names(cache) == []
    right = serve({"a.mat": STORED["a.mat"]})
    assert files.fetch("toy", [ARRAY], [wrong.url, right.url]) == [cache / "a.mat"]
    assert files.read("toy", ARRAY) == NUMBERS.tobytes()


def test_a_mirror_that_stalls_amid_a_file_costs_its_timeout_once(
    cache: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GIVE_UP", 1.0)
    stalling, whole = serve(SERVED, stalls=True), serve(SERVED)
    assert len(files.fetch("toy", [TOY, OTHER], [stalling.url, whole.url])) == 2
    assert stalling.log == ["HEAD /toy.gz", "GET /toy.gz"]
    assert files.read("toy", TOY) == CONTENT
    assert names(cache) == ["other.gz", "toy.gz"]


def test_only_a_mirror_that_stalls(
    cache: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GIVE_UP", 0.5)
    stalling = serve(SERVED, stalls=True)
    with pytest.raises(MissingData, match=r"^toy: toy\.gz could not be .*timed out") as caught:
        files.fetch("toy", [TOY], [stalling.url])
    assert "\n" not in str(caught.value)
    assert names(cache) == []


def test_no_mirror_answers(
    cache: Path, dead: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the time given, also where a mirror accepts the connection and is silent."""
    assert files.GIVE_UP <= 6
    monkeypatch.setattr(files, "GIVE_UP", 1.0)
    for mirrors, least, most in (([dead, dead], 0, 5), ([silent, dead, silent], 1, 5)):
        started = time.monotonic()
        with pytest.raises(MissingData) as caught:
            files.fetch("toy", [TOY, OTHER], mirrors)
        assert least <= time.monotonic() - started < most
        assert str(caught.value) == (
            f"toy: no mirror answered within 1 s; put toy.gz, other.gz into {cache} "
            "or set DGM_DATA to the folder that holds toy/"
        )
    assert not cache.exists()


@pytest.mark.filterwarnings("error")
def test_a_lost_bundle_of_certificates_is_no_answer(
    own: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What requests raises then is not one of its own errors."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own / "lost.pem"))
    with pytest.raises(MissingData, match="no mirror answered"):
        files.fetch("toy", [TOY], [dead.replace("http:", "https:")])


@pytest.mark.parametrize("file", ["cache", "cache/dgm", "cache/dgm/toy"])
def test_a_cache_that_cannot_be_made(own: Path, serve: Serve, tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("")
    with pytest.raises(DgmError) as caught:
        files.fetch("toy", [TOY], [serve(SERVED).url])
    folder = tmp_path / "cache" / "dgm" / "toy"
    assert str(caught.value) == f"{folder}: cannot be written: Not a directory"
    assert not isinstance(caught.value, MissingData)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("made", ["cache", "cache/dgm/toy"])
def test_a_cache_without_permission(own: Path, serve: Serve, tmp_path: Path, made: str) -> None:
    (tmp_path / made).mkdir(parents=True)
    (tmp_path / made).chmod(0o500)
    with pytest.raises(DgmError, match=r"toy: cannot be written: Permission denied$"):
        files.fetch("toy", [TOY], [serve(SERVED).url])
    (tmp_path / made).chmod(0o000)
    with pytest.raises(MissingData, match=r"toy\.gz is not in"):
        files.read("toy", TOY)
    (tmp_path / made).chmod(0o700)
