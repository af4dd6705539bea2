"""A user's folder of images."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgm import data
from dgm.data.dataset import Dataset
from dgm.data.folder import SIDE, Folder
from dgm.errors import BadInput

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes n images of one colour each, of a size and mode, into a folder."""

    def make(n: int, size: tuple[int, int] = (64, 64), mode: str = "RGB", name: str = "a") -> Path:
        for i in range(n):
            colour = (10 * i, 100, 200) if mode == "RGB" else 10 * i
            Image.new(mode, size, colour).save(tmp_path / f"{name}{i:02}.png")
        return tmp_path

    return make


def load(folder: Path) -> Dataset:
    return Folder(f"folder:{folder}").load()


def huge(path: Path, across: int, down: int) -> None:
    """A PNG whose head claims this size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", across, down, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    body = b"IDAT" + zlib.compress(b"\0")
    last = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + last)


def test_every_image_is_in_one_split(make: Make) -> None:
    found = load(make(20))
    assert [len(each) for each in (found.train, found.validation, found.test)] == [16, 2, 2]
    assert (found.channels, found.shape, found.skipped) == (3, (SIDE, SIDE), ())
    rows = torch.cat([found.train, found.validation, found.test])
    assert rows.dtype == torch.uint8 and rows.shape == (20, 3 * SIDE * SIDE)
    red, green, blue = rows.view(20, 3, -1).unbind(1)
    assert sorted(red[:, 0].tolist()) == [10 * i for i in range(20)]
    assert (red == red[:, :1]).all() and (green == 100).all() and (blue == 200).all()


def test_images_of_mixed_sizes_are_cropped_and_scaled(make: Make, tmp_path: Path) -> None:
    """A wide image keeps its centre: the left half of its square is dark, the right one bright."""
    pixels = np.zeros((100, 300), np.uint8)
    pixels[:, 150:], pixels[:, 250:] = 200, 77
    for i in range(10):
        Image.fromarray(pixels).save(tmp_path / f"wide{i}.png")
    make(2, size=(20, 31), mode="L", name="small")
    found = load(tmp_path)
    rows = torch.cat([found.train, found.validation, found.test]).view(12, SIDE, SIDE)
    wide = rows[(rows == 200).any(2).any(1)]
    assert len(wide) == 10
    assert (wide[:, :, : SIDE // 2] == 0).all() and (wide[:, :, SIDE // 2 :] == 200).all()


def test_grey_images_have_one_channel_and_three_among_coloured_ones(make: Make) -> None:
    folder = make(12, mode="L")
    assert load(folder).channels == 1
    make(1, name="coloured")
    found = load(folder)
    assert found.channels == 3
    rows = torch.cat([found.train, found.validation, found.test]).view(13, 3, -1)
    assert (rows == rows[:, :1]).all(2).all(1).sum() == 12


def test_a_broken_file_is_named_and_the_others_are_kept(make: Make) -> None:
    folder = make(15)
    whole = (folder / "a03.png").read_bytes()
    (folder / "a03.png").write_bytes(whole[: len(whole) // 2])
    (folder / "a07.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either, and not looked at")
    found = load(folder)
    assert [line.partition(":")[0] for line in found.skipped] == ["a03.png", "a07.png"]
    assert len(found.train) + len(found.validation) + len(found.test) == 13


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    for i in range(10):
        grey = np.full((64, 64), 257 * 20 * i, np.uint16)
        Image.fromarray(grey).save(tmp_path / f"{i}.png")
    found = load(tmp_path)
    rows = torch.cat([found.train, found.validation, found.test])
    assert found.channels == 1
    assert sorted(rows[:, 0].tolist()) == [20 * i for i in range(10)]


def test_a_name_that_is_no_text_is_a_name(make: Make, tmp_path: Path) -> None:
    folder = make(10)
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png"))).write_bytes(b"no image")
    assert len(data.code(f"folder:{folder}")) == 64
    found = load(folder)
    assert len(found.train) == 8
    assert found.skipped[0].startswith("\ufffd\ufffd.png: ")


def test_an_image_that_claims_a_huge_size_is_not_decoded(make: Make) -> None:
    folder = make(12)
    huge(folder / "bomb.png", 10_000, 10_000)
    (line,) = load(folder).skipped
    assert line == "bomb.png: claims 10,000 x 10,000 pixels; 50,000,000 are the most"
    huge(folder / "larger.png", 100_000, 100_000)  # Pillow's own limit
    assert len(load(folder).skipped) == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "holds no images"),
        (["a.txt"], "holds no images"),
        (["a.png"], "0 of 1 files can be read as images, 10 are the fewest; skipped a.png: "),
    ],
)
def test_folders_without_images(tmp_path: Path, files: list[str], said: str) -> None:
    for name in files:
        (tmp_path / name).write_text("no image")
    with pytest.raises(BadInput, match=said):
        load(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder$"):
        data.code(f"folder:{tmp_path / 'none'}")


def test_a_changed_file_changes_the_code(make: Make) -> None:
    folder = make(10)
    name = f"folder:{folder}"
    before = data.code(name)
    assert data.code(name) == before
    os.utime(folder / "a00.png", ns=(1, 1))
    assert data.code(name) != before


def test_which_experiments_take_a_folder() -> None:
    images, both = data.names("images"), data.names("images", "folders")
    assert set(both) == {*images, "folder:PATH"}
    assert data.is_among("folder:/a/b", both) and not data.is_among("folder:/a/b", images)
    assert data.is_among("mnist", both) and not data.is_among("mnits", both)
