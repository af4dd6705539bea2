"""Puts the recipes and the tables of their results, which lie beside the package, into the wheel.

An editable install and a checkout read them where they are; `dgm.shipped` knows both places.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = [
    "recipes/*.yaml",
    "recipes/*.md",
    "results/*/quick/official.json",
    "results/*/paper/models/manifest.json",  # the models themselves come with a clone
    *(
        f"results/*/{preset}/*.{kind}"
        for preset in ("paper", "embedded", "scale", "search")
        for kind in ("csv", "npz", "json")
    ),
]


def shipped() -> list[str]:
    return sorted(str(path) for pattern in SHIPPED for path in Path().glob(pattern))


class BuildWithRecipes(build_py):
    """Copies them into the package, as `dgm/_shipped`, and into source distributions."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "dgm", "_shipped")
        shutil.rmtree(folder, ignore_errors=True)  # what an earlier build left
        for name in shipped():
            target = folder / name
            self.mkpath(str(target.parent))
            self.copy_file(name, str(target))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *shipped()]


setup(cmdclass={"build_py": BuildWithRecipes})
