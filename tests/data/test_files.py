"""Data sets: their known numbers, damage that is noticed, and mirrors on real local servers."""

import gzip
import hashlib
import io
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import sklearn.datasets
import torch
from torch import Tensor

from dgm import data
from dgm.data import files
from dgm.data.batches import Minibatches
from dgm.data.binarise import Binarization, binarise, static_binarise
from dgm.data.dataset import Dataset
from dgm.data.files import File
from dgm.data.images import digits, frey_faces, mnist
from dgm.data.shifted import shifted
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
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The set's folder in $DGM_DATA; the cache is `tmp_path / "cache" / "dgm"`."""
    monkeypatch.setenv("DGM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("no_proxy", raising=False)  # requests reads the lower case first
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def cache(own: Path) -> Path:
    """The set's folder in the cache, which `fetch` has to make."""
    return own.parents[1] / "cache" / "dgm" / "toy"


# --- MNIST -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images() -> Dataset:
    if files.missing("mnist", mnist.FILES):
        pytest.skip("MNIST is not on this machine: set DGM_DATA or `dgm data fetch mnist`")
    return mnist.load()


def test_mnist_has_its_known_mean_and_deviation(images: Dataset) -> None:
    assert [tuple(split.shape) for split in (images.train, images.validation, images.test)] == [
        (50_000, 784),
        (10_000, 784),
        (10_000, 784),
    ]
    assert images.shape == (28, 28)
    training = torch.cat([images.train, images.validation])
    mean = training.mean(dtype=torch.float64).item()
    deviation = math.sqrt(training.square_().mean(dtype=torch.float64).item() - mean**2)
    assert (round(mean, 4), round(deviation, 4)) == (0.1307, 0.3081)


def test_mnist_images_are_in_the_files_order(images: Dataset) -> None:
    five, seven = images.train[0].mul(255).view(28, 28), images.test[0].mul(255).view(28, 28)
    assert five[5, 12:24].tolist() == [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]
    assert five[:5].count_nonzero() == 0
    assert five.count_nonzero() == 166
    assert five.sum() == 27525
    assert seven[7, 6:12].tolist() == [84, 185, 159, 151, 60, 36]
    assert seven[:7].count_nonzero() == 0
    raw = np.frombuffer(files.read("mnist", mnist.FILES[0]), np.uint8, offset=16)
    for i, row in ((49_999, images.train[-1]), (50_000, images.validation[0])):
        expected = raw[i * 784 : (i + 1) * 784]
        np.testing.assert_array_equal(row.numpy(), expected / np.float32(255))


def test_mnist_pixels_are_multiples_of_1_255th(images: Dataset) -> None:
    for split in (images.train, images.validation, images.test):
        assert split.dtype == torch.float32
        assert split.min() == 0 and split.max() == 1
        assert torch.equal(split.mul(255).round_().div_(255), split)


def idx_file(magic: int = 0x803, n: int = 2, rows: int = 2, columns: int = 3) -> bytes:
    return struct.pack(">4i", magic, n, rows, columns) + bytes([0, 51, 102, 153, 204, 255] * 2)


def test_mnist_labels_are_those_of_its_images(images: Dataset) -> None:
    labels = [images.labels[split] for split in ("train", "validation", "test")]
    assert [len(each) for each in labels] == [50_000, 10_000, 10_000]
    assert labels[0][:5].tolist() == [5, 0, 4, 1, 9]
    assert labels[2][:5].tolist() == [7, 2, 1, 0, 4]
    counts = torch.bincount(torch.cat(labels[:2]), minlength=10)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert images.classes == 10


def test_idx() -> None:
    expected = torch.tensor([[0, 0.2, 0.4, 0.6, 0.8, 1]] * 2)
    torch.testing.assert_close(mnist.idx(idx_file(), "a"), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "content",
    [
        idx_file(magic=0x801),  # labels
        idx_file(n=3),
        idx_file(rows=2**16, columns=2**16),  # 0 in 32 bits
        idx_file(n=-2, rows=-2),
        idx_file() + b"\0",
        idx_file()[:-1],
        idx_file()[:15],
        idx_file()[:4],
        b"",
    ],
)
def test_what_is_no_idx_file_of_images(content: bytes) -> None:
    with pytest.raises(BadInput, match=r"^a\.gz: is not an idx file of images$"):
        mnist.idx(content, "a.gz")


def test_idx_labels() -> None:
    content = struct.pack(">2i", 0x801, 3) + bytes([7, 0, 9])
    assert mnist.idx_labels(content, "a").tolist() == [7, 0, 9]
    for bad in (content[:-1], content + b"\0", idx_file(), content[:6], b""):
        with pytest.raises(BadInput, match=r"^a\.gz: is not an idx file of labels$"):
            mnist.idx_labels(bad, "a.gz")


# --- Frey Faces ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces() -> Dataset:
    if files.missing("frey_faces", frey_faces.FILES):
        pytest.skip("Frey Faces are not on this machine: set DGM_DATA or `dgm data fetch`")
    return frey_faces.load()


def test_frey_faces_are_the_film(faces: Dataset) -> None:
    splits = (faces.train, faces.validation, faces.test)
    assert [tuple(split.shape) for split in splits] == [(1565, 560), (200, 560), (200, 560)]
    assert (faces.shape, faces.classes) == ((28, 20), 0)
    pixels = torch.cat(splits).mul(255)
    assert torch.equal(pixels.round(), pixels.round().clamp(8, 238))
    assert pixels.mean(dtype=torch.float64).item() == pytest.approx(154.461, abs=1e-3)
    places = torch.cat([faces.labels[split] for split in ("train", "validation", "test")])
    assert sorted(places.tolist()) == list(range(1965))
    film = torch.empty_like(pixels)
    film[places] = pixels
    steps = (film[1:] - film[:-1]).norm(dim=1).mean()
    assert steps < 0.6 * (pixels[1:] - pixels[:-1]).norm(dim=1).mean()  # a film's are small


def test_frey_faces_as_published(faces: Dataset, own: Path) -> None:
    """A MATLAB file with a frame in each column gives the same set."""
    places = torch.cat([faces.labels[split] for split in ("train", "validation", "test")])
    film = torch.empty(1965, 560)
    film[places] = torch.cat([faces.train, faces.validation, faces.test])
    frames = film.mul(255).round().byte().numpy()
    (own.parent / "frey_faces").mkdir()
    scipy.io.savemat(own.parent / "frey_faces" / "frey_rawface.mat", {"ff": frames.T})
    assert frey_faces.load().hash == faces.hash


# --- digits ----------------------------------------------------------------------------------


def test_digits_are_scikit_learns() -> None:
    found = digits.load()
    splits = (found.train, found.validation, found.test)
    assert [tuple(split.shape) for split in splits] == [(1400, 64), (97, 64), (300, 64)]
    assert found.shape == (8, 8)
    pixels = torch.cat(splits)
    assert pixels.dtype == torch.float32
    assert torch.equal(pixels.mul(16).round(), pixels.mul(16))
    ours, theirs = pixels.mul(16).tolist(), sklearn.datasets.load_digits().data.tolist()
    assert sorted(ours) == sorted(theirs)
    means = torch.stack([split.mean() for split in splits])
    torch.testing.assert_close(means, pixels.mean().expand(3), rtol=0.02, atol=0)  # shuffled
    assert torch.equal(torch.cat([digits.load().train, found.validation, found.test]), pixels)
    by_pixels = {tuple(row): label for row, label in zip(*sklearn_digits(), strict=True)}
    for split in ("train", "validation", "test"):
        rows = getattr(found, split).mul(16).tolist()
        assert [by_pixels[tuple(row)] for row in rows] == found.labels[split].tolist()


def sklearn_digits() -> tuple[list[list[float]], list[int]]:
    theirs = sklearn.datasets.load_digits()
    return theirs.data.tolist(), theirs.target.tolist()


def test_the_hash_is_that_of_pixels_and_labels() -> None:
    found = digits.load()
    assert found.hash == digits.load().hash == data.load("digits").hash
    assert len(found.hash) == 64
    for split in ("train", "validation", "test"):
        altered = getattr(found, split).clone()
        altered[-1, -1] += 1 / 16
        assert replace(found, **{split: altered}).hash != found.hash
    assert replace(found, shape=(4, 16)).hash != found.hash
    other = {**found.labels, "test": 9 - found.labels["test"]}
    assert replace(found, labels=other).hash != found.hash


def test_sets_by_name() -> None:
    assert data.load("digits") is data.load("digits")
    assert data.fetch("digits") == []
    for ask in (data.load, data.fetch):
        with pytest.raises(BadInput, match=r"^data: no mnsit; did you mean mnist\?$"):
            ask("mnsit")
        with pytest.raises(BadInput, match=r"^data: no os; there is bars_and_stripes, .*digits"):
            ask("os")


# --- files -----------------------------------------------------------------------------------


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
)
def test_a_damaged_array_is_bad_input(own: Path, name: str, stored: bytes) -> None:
    (own / name).write_bytes(stored)
    with pytest.raises(BadInput) as caught:
        files.read("toy", ARRAY)
    assert str(caught.value).startswith(f"{own / name}: is ")
    assert "\n" not in str(caught.value)


def test_folders(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.folders() == [tmp_path / "data", tmp_path / "cache" / "dgm"]
    monkeypatch.setenv("DGM_DATA", "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.folders() == [tmp_path / "home" / ".cache" / "dgm"]


ALTERED = CONTENT[:70] + b"?" + CONTENT[71:]
CRC = PACKED[:-8] + bytes(4) + PACKED[-4:]


@pytest.mark.parametrize(
    ("name", "stored", "said"),
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
def test_damage_is_bad_input(own: Path, name: str, stored: bytes, said: str) -> None:
    (own / name).write_bytes(stored)
    with pytest.raises(BadInput) as caught:
        files.read("toy", TOY)
    message = str(caught.value)
    assert message.startswith(f"{own / name}: {said} (")
    assert message.endswith("); remove it, and `dgm data fetch toy` gets it")
    assert "\n" not in message
    assert caught.value.exit_code == 2


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
    slow = serve(SERVED, delay=1.2)
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


def test_no_mirror_answers(cache: Path, dead: str, silent: str) -> None:
    """Within 10 s, also where a mirror accepts the connection and is silent."""
    for mirrors, least, most in (([dead, dead], 0, 5), ([silent, dead, silent], 6, 10)):
        started = time.monotonic()
        with pytest.raises(MissingData) as caught:
            files.fetch("toy", [TOY, OTHER], mirrors)
        assert least <= time.monotonic() - started < most
        assert str(caught.value) == (
            f"toy: no mirror answered within 6 s; put toy.gz, other.gz into {cache} "
            "or set DGM_DATA to the folder that holds toy/"
        )
    assert not cache.exists()


@pytest.mark.filterwarnings("error")
def test_a_lost_bundle_of_certificates_is_no_answer(
    own: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What requests then raises is none of its own errors."""
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


# --- binary images and minibatches -----------------------------------------------------------


def test_static_binarisation_is_one_draw_by_name() -> None:
    x = torch.rand(300, 17, generator=torch.Generator().manual_seed(0))
    drawn = static_binarise(x, "toy/test")
    torch.manual_seed(1)  # has no say
    assert torch.equal(static_binarise(x, "toy/test"), drawn)
    for n in (1, 2, 100, 299):
        assert torch.equal(static_binarise(x[:n], "toy/test"), drawn[:n])
    assert not torch.equal(static_binarise(x, "toy/train"), drawn)


def test_static_binarisation_has_the_pixels_as_means() -> None:
    p = torch.linspace(0, 1, 21)
    drawn = static_binarise(p.expand(40_000, 21), "toy/test")
    assert set(drawn.flatten().tolist()) == {0, 1}
    z = (drawn.mean(0) - p)[1:-1] / (p * (1 - p) / 40_000).sqrt()[1:-1]
    assert z.abs().max() < 3.5
    assert drawn[:, 0].sum() == 0
    assert drawn[:, -1].sum() == 40_000


def batches(dynamic: bool = False, n: int = 11, batch: int = 3) -> Minibatches:
    x = torch.linspace(0, 1, n)[:, None] * torch.tensor([1.0, 0.5])
    return Minibatches(x, batch, torch.Generator().manual_seed(5), dynamic)


def epoch(minibatches: Minibatches) -> list[int]:
    """The numbers of the rows of three minibatches of three."""
    drawn = []
    for _ in range(3):
        x, indices = minibatches.draw()
        assert torch.equal(x, minibatches.x[indices])
        assert x.shape == (3, 2)
        drawn += indices.tolist()
    return drawn


@pytest.mark.parametrize("how", ["none", "static", "dynamic"])
def test_binarise(how: Binarization) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(9, 5, generator=generator), torch.rand(4, 5, generator=generator)
    train, evaluated = binarise("toy", how, x, {"train": x[:3], "test": y})
    assert torch.equal(train, static_binarise(x, "toy/train") if how == "static" else x)
    expected = {"train": x[:3], "test": y}
    if how != "none":
        expected = {s: static_binarise(part, f"toy/{s}") for s, part in expected.items()}
    assert evaluated.keys() == expected.keys()
    for split, part in expected.items():
        assert torch.equal(evaluated[split], part)


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("split", ["train", "test"])
def test_pixels_that_are_no_probabilities(bad: float, split: str) -> None:
    parts = {"train": torch.rand(9, 5), "test": torch.rand(4, 5)}
    parts[split][3, 2] = bad
    said = rf"^toy/{split}: pixels from .* needs them in \[0, 1\]$"
    with pytest.raises(BadInput, match=said):
        binarise("toy", "none", parts["train"], {"test": parts["test"]})


def test_an_epoch_visits_each_row_at_most_once() -> None:
    eleven, nine = batches(), batches(n=9)
    epochs = [epoch(eleven) for _ in range(30)]
    assert all(len(set(drawn)) == 9 for drawn in epochs)
    assert len({tuple(drawn) for drawn in epochs}) == 30  # shuffled anew
    assert set().union(*epochs) == set(range(11))  # none is left out for good
    for _ in range(5):
        assert sorted(epoch(nine)) == list(range(9))


def test_a_minibatch_may_be_all_there_is_and_not_more() -> None:
    whole = batches(batch=11)
    assert sorted(whole.draw()[1].tolist()) == sorted(whole.draw()[1].tolist()) == list(range(11))
    with pytest.raises(BadInput, match="batch 12: there are 11 images"):
        batches(batch=12)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("before", [0, 1, 2, 3, 7])
def test_minibatches_go_on_where_they_were(dynamic: bool, before: int) -> None:
    def draws(minibatches: Minibatches) -> list[tuple[Tensor, Tensor]]:
        return [(x.clone(), i.clone()) for x, i in (minibatches.draw() for _ in range(10))]

    first = batches(dynamic)
    for _ in range(before):
        first.draw()
    state = {name: value.clone() for name, value in first.state_dict().items()}
    held, generator = first.state_dict(), first.generator.get_state()
    expected = draws(first)
    assert all(torch.equal(held[name], state[name]) for name in state)  # no view of what moves on

    second = batches(dynamic)
    second.draw()
    second.load_state_dict(state)
    second.generator.set_state(generator)
    for ours, theirs in zip(draws(second), expected, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


def test_dynamic_minibatches_are_drawn_anew_from_the_pixels() -> None:
    minibatches = batches(dynamic=True, n=6, batch=6)
    grey, n = minibatches.x.clone(), 4000
    total = torch.zeros(6, 2)
    for _ in range(n):
        x, indices = minibatches.draw()
        assert ((x == 0) | (x == 1)).all()
        total.index_add_(0, indices, x)
    assert torch.equal(minibatches.x, grey)  # the pixels themselves stay
    assert total[0].sum() == 0
    assert total[5, 0] == n
    z = (total / n - grey) / (grey * (1 - grey) / n).sqrt()
    assert z[grey.remainder(1) != 0].abs().max() < 3.5


def test_images_are_moved_and_lose_what_goes_over_the_edge() -> None:
    """Oracle: slices of a padded image. Every one of the nine moves is as frequent."""
    image = torch.arange(1.0, 13.0)
    n = 9000
    moved = shifted(image.repeat(n, 1), (3, 4), 1, torch.Generator().manual_seed(0))
    padded = np.pad(image.view(3, 4).numpy(), 1)
    seen = 0
    for up, aside in np.ndindex(3, 3):
        expected = torch.from_numpy(padded[up : up + 3, aside : aside + 4].copy()).flatten()
        count = int((moved == expected).all(1).sum())
        assert count == pytest.approx(1000, abs=4 * 1000**0.5)
        seen += count
    assert seen == n
    assert torch.equal(
        shifted(image[None], (3, 4), 0, torch.Generator().manual_seed(0)), image[None]
    )
