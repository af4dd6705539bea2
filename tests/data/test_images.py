"""Sets of images against their known numbers and against what they are made from."""

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import sklearn.datasets
import torch

from dgm.data import files
from dgm.data.dataset import Dataset
from dgm.data.images import bars, bars_and_stripes, digits, frey_faces, mnist
from dgm.errors import BadInput

# --- MNIST -----------------------------------------------------------------------------------


@pytest.fixture
def images(real: Callable[[str], Dataset]) -> Dataset:
    return real("mnist")


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
    images = mnist.idx(idx_file(), "a")
    np.testing.assert_allclose(images, [[0, 0.2, 0.4, 0.6, 0.8, 1]] * 2, rtol=0, atol=1e-7)
    assert images.dtype == np.float32


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


@pytest.fixture
def faces(real: Callable[[str], Dataset]) -> Dataset:
    return real("frey_faces")


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


def test_frey_faces_as_published(faces: Dataset, places: Path) -> None:
    """A MATLAB file with a frame in each column gives the same set."""
    order = torch.cat([faces.labels[split] for split in ("train", "validation", "test")])
    film = torch.empty(1965, 560)
    film[order] = torch.cat([faces.train, faces.validation, faces.test])
    frames = film.mul(255).round().byte().numpy()
    (places / "frey_faces").mkdir()
    scipy.io.savemat(places / "frey_faces" / "frey_rawface.mat", {"ff": frames.T})
    published = frey_faces.load()
    for split in ("train", "validation", "test"):
        assert torch.equal(getattr(published, split), getattr(faces, split))
        assert torch.equal(published.labels[split], faces.labels[split])


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


def test_bars_and_stripes() -> None:
    x = bars_and_stripes.load().train
    assert x.shape == (14, 9) and len(torch.unique(x, dim=0)) == 14
    for image in x.view(-1, 3, 3):
        assert (image == image[:1]).all() or (image == image[:, :1]).all()


# --- bars --------------------------------------------------------------------------------------


def test_bars_are_as_frequent_as_their_probabilities() -> None:
    """Vertical with probability 2/3, each of four bars with 0.2: by the definition."""
    x = bars.load().train
    images, times = torch.unique(x, dim=0, return_counts=True)
    assert len(images) == 2 * 2**4 - 2  # without bars and with all of them both kinds are alike
    for image, n in zip(images.view(-1, 4, 4), times.tolist(), strict=True):
        p = 0.0
        for kind, share in ((image, 2 / 3), (image.t(), 1 / 3)):
            if (kind == kind[0]).all():  # every row is alike: bars are vertical
                on = int(kind[0].sum())
                p += share * 0.2**on * 0.8 ** (4 - on)
        assert n / len(x) == pytest.approx(p)
    assert torch.equal(bars.load().test, x)
