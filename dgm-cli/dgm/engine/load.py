"""A recipe with the settings of its experiment."""

from collections.abc import Sequence
from pathlib import Path

from dgm import experiments
from dgm.recipe import load as recipes
from dgm.recipe.load import Recipe
from dgm.recipe.union import SettingsType


def load(
    name_or_path: str | Path,
    preset: str = "paper",
    overrides: Sequence[str] = (),
    seeds: list[int] | None = None,
) -> Recipe:
    """As `dgm.recipe.load.load`, every value checked against the experiment's Settings."""
    return recipes.load(name_or_path, preset, overrides, seeds, settings=settings)


def settings(experiment: str) -> SettingsType:
    """The experiment's Settings; BadInput where there is no such experiment."""
    found: SettingsType = experiments.settings(experiment).Settings
    return found
