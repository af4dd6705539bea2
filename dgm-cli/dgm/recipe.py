"""A recipe: what is run, and what the paper reported.

`header` reads what a list of recipes shows; `load` checks all of it, every preset included.

A recipe's top level is the paper's; a preset holds what differs from it. `grid` is a mapping of
axes to values, or a list of such blocks, each with `data` and `settings` of its own where they
differ. Every cell of every block, with every seed, is a trial.
"""

import difflib
import importlib
import itertools
import pkgutil
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar, get_args

import pydantic
from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo

from dgm.errors import BadInput
from dgm.located import Items, Map, locate, merge, read

PRESETS = ("paper", "quick", "embedded", "scale")
FOLDERS = (Path("recipes"), Path(__file__).resolve().parents[2] / "recipes")


class Schema(BaseModel):
    """Data whose keys are all known, whose numbers are finite and are not `yes` or `no`."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        types = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and types & {int, float} and bool not in types:
            raise ValueError("should be a number")
        return value


class TrialSettings(Schema):
    """What an experiment's Settings derive from: a field a setting, with its unit and meaning."""


class Expectation(Schema):
    """What the paper reported of a metric, and the band that the measured mean must meet."""

    metric: str
    measures: str = Field(description="of what, by what estimator, on which images")
    unit: str = "nats"
    reported: float | None = None
    source: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    equals: float | None = None
    tolerance: float | None = Field(None, ge=0)
    presets: list[Literal["paper", "quick", "embedded", "scale"]] | None = None  # None: every

    @pydantic.model_validator(mode="after")
    def _one_band(self) -> "Expectation":
        low, high = self.band
        if (self.equals is None) != (self.tolerance is None):
            raise ValueError("equals and tolerance belong together")
        if self.equals is not None and (self.at_least, self.at_most) != (None, None):
            raise ValueError("either equals with tolerance or at_least, at_most")
        if low is not None and high is not None and low > high:
            raise ValueError(f"at_least {low:g} is above at_most {high:g}")
        return self

    @property
    def band(self) -> tuple[float | None, float | None]:
        """(low, high), both inclusive; None where that side is open."""
        if self.equals is not None and self.tolerance is not None:
            return self.equals - self.tolerance, self.equals + self.tolerance
        return self.at_least, self.at_most

    def applies_to(self, preset: str) -> bool:
        """Whether the band and the reported value are meant for this preset."""
        return self.presets is None or preset in self.presets


class _Block(Schema):
    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[Any], Field(min_length=1)]]  # the axes

    data: str = ""
    settings: dict[str, Any] = {}


class _Layer(Schema):
    data: str = ""
    seeds: list[Annotated[int, Field(strict=True, ge=0)]] = Field([0], min_length=1)
    settings: dict[str, Any] = {}
    grid: Annotated[
        list[_Block], BeforeValidator(lambda grid: grid if isinstance(grid, list) else [grid])
    ] = Field([], min_length=1)


class _Presets(Schema):
    paper: _Layer = _Layer()
    quick: _Layer = _Layer()
    embedded: _Layer = _Layer()
    scale: _Layer = _Layer()


class _File(_Layer):
    title: str
    source: str
    experiment: str
    presets: _Presets = _Presets()
    expect: list[Expectation] = []

    @pydantic.model_validator(mode="after")
    def _one_band_a_metric(self) -> "_File":
        for preset in PRESETS:
            metrics = [e.metric for e in self.expect if e.applies_to(preset)]
            for metric in metrics:
                if metrics.count(metric) > 1:
                    raise ValueError(f"expect: two entries for {metric} in preset {preset}")
        return self


@dataclass(frozen=True)
class TrialSpec:
    """One cell of the grid with one seed."""

    data: str
    seed: int
    settings: TrialSettings  # with the axes' values
    axes: dict[str, Any]

    @property
    def label(self) -> str:
        """The axes in the grid's order, then the seed; no other trial of the recipe has it."""
        return ",".join(f"{key}={value}" for key, value in {**self.axes, "seed": self.seed}.items())


@dataclass(frozen=True)
class Header:
    """What a list of recipes shows."""

    name: str
    path: Path
    title: str
    source: str
    experiment: str
    data: list[str]  # of the paper preset
    presets: list[str]
    expect: list[Expectation]


@dataclass(frozen=True)
class Recipe:
    """A recipe with one of its presets chosen, every value in it valid."""

    name: str
    path: Path
    title: str
    source: str
    experiment: str
    preset: str
    trials: list[TrialSpec]  # all cells of the first seed first
    expect: list[Expectation]
    resolved: dict[str, Any]  # plain data: the whole of what is run, defaults included
