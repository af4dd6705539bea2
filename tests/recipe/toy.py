"""A recipe whose experiment is `toy`, and what the tests do with it."""

from pathlib import Path
from typing import Literal

import pydantic
import pytest
from pydantic import Field

from dgm.engine.load import load
from dgm.errors import BadInput
from dgm.recipe.schema import TrialSettings

RECIPE = """\
title: A toy
source: Nobody (2024), Figure 1
experiment: toy
data: mnist
seeds: [0, 1]
settings:
  hidden: 100
  rate: 1e-3
  samples: 60_000_000
grid:
  method: [aevb, mcem]
  train_size: [1000, 5e4]
presets:
  quick: {seeds: [0], settings: {samples: 2_000_000}}
  embedded:
    data: digits
    seeds: [3]
    settings: {hidden: 10}
    grid: {train_size: [500]}
expect:
  - metric: score/aevb
    measures: nats per image
    reported: -130
    at_least: -134
    presets: [paper]
    better: higher
"""
BLOCKS = """\
grid:
  - method: [aevb, wake_sleep]
    train_size: [1000, 50000]
  - method: [mcem]
    train_size: [1000]
    data: frey_faces
    settings: {hidden: 200}
"""


class Settings(TrialSettings):
    method: Literal["aevb", "wake_sleep", "mcem"] = "aevb"
    train_size: int = Field(50_000, gt=0)
    hidden: int = Field(100, gt=0)
    latent_dim: int = Field(3, gt=0)
    rate: float = 0.1
    rates: list[float] = [0.1]
    samples: int = 100
    bias: bool = True
    schedule: list[tuple[int, float, float]] = [(100, 0, 1)]
    variant: str = "paper"

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if len(set(self.rates)) < len(self.rates):
            raise ValueError(f"rates {self.rates}: two are the same")
        if self.latent_dim > 10 * self.hidden:
            raise ValueError(f"latent_dim {self.latent_dim} is too large for hidden {self.hidden}")
        return self


def write(old: str = "", new: str = "", text: str = RECIPE) -> None:
    assert old in text
    Path("recipes/toy.yaml").write_text(text.replace(old, new, 1) if old else text)


def with_blocks() -> str:
    start, end = RECIPE.index("grid:"), RECIPE.index("presets:")
    return RECIPE[:start] + BLOCKS + RECIPE[end:].replace("    grid: {train_size: [500]}\n", "")


def message(preset: str = "paper", *overrides: str, name: str = "toy") -> str:
    """The one line that says why a recipe cannot be loaded."""
    with pytest.raises(BadInput) as caught:
        load(name, preset, overrides)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 250
    assert caught.value.exit_code == 2
    return text
