"""Recipes and results that come with the package: a checkout's own, or those in the wheel."""

from pathlib import Path


def shipped(name: str) -> Path:
    """The folder "recipes" or "results" that belongs to this package."""
    package = Path(__file__).resolve().parent
    in_wheel = package / "_shipped"
    return (in_wheel if in_wheel.exists() else package.parents[1]) / name


def beside(recipe: Path) -> Path:
    """The results that come with a recipe."""
    return recipe.resolve().parents[1] / "results"
