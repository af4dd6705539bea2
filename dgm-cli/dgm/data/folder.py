"""A user's folder of images, `data=folder:PATH`, cropped to squares and scaled to 64 x 64.

PNG, JPEG, BMP and WebP files lie in the folder itself or in folders below. Where every image is
grey there is one channel, else there are three, and grey ones have three equal. A file that cannot
be read is skipped and named. One in ten images, by a fixed draw, is for validation and one for
testing. Pixels are bytes, so that many images fit into memory.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dgm.data.dataset import Dataset
from dgm.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

PREFIX = "folder:"
SIDE = 64  # pixels
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
FEWEST = 10  # images
MOST_PIXELS = 50_000_000  # of a file; one that claims more is not decoded


class Folder:
    """A folder as a module of a set: what `dgm.data` asks of one."""

    REVISION = 1
    FILES = ()

    def __init__(self, name: str) -> None:
        self.name, self.path = name, Path(name.removeprefix(PREFIX)).expanduser()
        self.TITLE = f"Images of {self.path.name}"

    def contents(self) -> list[str]:
        """Name, size and date of each file."""
        described = [(path, path.stat()) for path in self.files()]
        return [f"{path} {about.st_size} {about.st_mtime_ns}" for path, about in described]

    def files(self) -> list[Path]:
        """The images' files in the order of their names; BadInput where there are none."""
        if not os.path.isdir(self.path):
            raise BadInput(f"data: {self.path}: no such folder")
        found = sorted(
            path
            for path in self.path.rglob("*")
            if path.suffix.lower() in ENDINGS and path.is_file()
        )
        if not found:
            endings = ", ".join(sorted(ENDINGS))
            raise BadInput(f"data: {self.path}: holds no images ({endings})")
        return found

    def load(self) -> Dataset:
        """All images that can be read; BadInput where they are too few."""
        import numpy as np
        import torch

        images: list[np.ndarray] = []
        skipped: list[str] = []
        for path in (files := self.files()):
            try:
                images.append(read(path))
            except Exception as error:  # Pillow raises errors of many kinds
                reason = " ".join(str(error).split()) or type(error).__name__
                name = os.fsencode(path.relative_to(self.path)).decode(errors="replace")
                skipped.append(f"{name}: {reason}")
        if len(images) < FEWEST:
            why = f"; skipped {skipped[0]}" if skipped else ""
            raise BadInput(
                f"data: {self.path}: {len(images)} of {len(files)} files can be read as images, "
                f"{FEWEST} are the fewest{why}"
            )
        pixels = np.stack(images)  # (n, SIDE, SIDE, 3)
        if (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]
        rows = torch.from_numpy(pixels).permute(0, 3, 1, 2).flatten(1)
        order = torch.from_numpy(np.random.RandomState(0).permutation(len(rows)))
        tenth = len(rows) // 10
        test, validation, train = rows[order].split([tenth, tenth, len(rows) - 2 * tenth])
        return Dataset(
            self.name,
            train,
            validation,
            test,
            (SIDE, SIDE),
            channels=pixels.shape[-1],
            skipped=tuple(skipped),
        )


def read(path: Path) -> "np.ndarray":
    """An image's central square, (SIDE, SIDE, 3) bytes; ValueError where it claims to be huge."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:  # reads the head alone
        across, down = image.size
        if across * down > MOST_PIXELS:
            raise ValueError(f"claims {across:,} x {down:,} pixels; {MOST_PIXELS:,} are the most")
        return np.asarray(square(image).convert("RGB"))


def square(image: "Image.Image") -> "Image.Image":
    """The central square, scaled."""
    from PIL import Image

    across, down = image.size
    side = min(across, down)
    left, top = (across - side) / 2, (down - side) / 2
    box = (left, top, left + side, top + side)
    if image.mode.startswith("I"):  # sixteen bits, which Pillow would clip to eight
        image = image.convert("I").point(lambda grey: grey / 257).convert("L")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose white is not known")
    if image.mode not in ("RGB", "L"):  # palettes cannot be averaged
        image = image.convert("RGB")
    return image.resize((SIDE, SIDE), Image.Resampling.BOX, box)
