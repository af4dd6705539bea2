"""The schema of a recipe, and one-line error messages with file and line."""

import fnmatch
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args

import pydantic
from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo

from dgm.errors import BadInput
from dgm.recipe.located import Map, locate
from dgm.text import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PresetName = Literal["paper", "quick", "embedded", "scale", "search"]
PRESETS: tuple[str, ...] = get_args(PresetName)
FLOAT32_MAX = (2 - 2**-23) * 2.0**127
MOST = 10**12  # as a whole number
MOST_LISTED = 10**6  # the sum of the whole numbers of a list: layers, steps, temperatures
TEXT = re.compile(r"(?!.*\.\.)[\w.+=-]([\w .+=-]{0,98}[\w.+=-])?", re.ASCII)
Model = TypeVar("Model", bound=BaseModel)


class Schema(BaseModel):
    """Data whose keys are all known, whose numbers are finite, not `true`, and not in quotes."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _nothing_else_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        leaves = list(_leaves(value))
        if any(isinstance(leaf, bool) or _is_quoted(leaf) for leaf in leaves):
            types = set(_types(cls.model_fields[str(info.field_name)].annotation))
            if types & {int, float} and not types & {bool, str}:
                raise ValueError("should be a number")
        return value


class TrialSettings(Schema):
    """Base of an experiment's Settings: a field for each setting, with its unit and meaning."""

    kinds: ClassVar[tuple[str, ...]] = ("images",)  # of data sets that the experiment can take
    uses_model: ClassVar[bool] = True  # whether a trial starts from the model of a recipe's `uses`
    not_axes: ClassVar[tuple[str, ...]] = ()  # settings whose names are columns of a trial's tables

    @pydantic.field_validator("*")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        """Numbers that a trial can work with, and texts that can be part of a name."""
        leaves = list(_leaves(value))
        whole = sum(abs(leaf) for leaf in leaves if isinstance(leaf, int))
        if isinstance(value, list | tuple) and whole > MOST_LISTED:
            raise ValueError(f"the whole numbers of a list should sum to at most {MOST_LISTED:,}")
        if whole > MOST:
            raise ValueError(f"should be at most {MOST:,}")
        if any(isinstance(leaf, float) and abs(leaf) > FLOAT32_MAX for leaf in leaves):
            raise ValueError(f"should be at most {FLOAT32_MAX:.1e}, the largest 32-bit float")
        if any(isinstance(leaf, str) and not TEXT.fullmatch(leaf) for leaf in leaves):
            raise ValueError("should be a text of letters, digits, spaces and single . _ - + =")
        return value


def _leaves(value: Any) -> Iterator[Any]:
    """The values in nested lists; a value that is no list is its only leaf."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _is_quoted(value: Any) -> bool:
    """Whether a text reads as a number, and would be taken for one."""
    return isinstance(value, str) and bool(re.fullmatch(r"\s*[-+.\d][-+.\w]*\s*", value))


def _types(annotation: Any) -> Iterator[Any]:
    """The types that an annotation names, e.g. int and float in list[tuple[int, float]]."""
    yield annotation
    for each in get_args(annotation):
        yield from _types(each)


class Expectation(Schema):
    """What the paper reported of a metric, and the band that the measured mean must meet.

    A name with `*` stands for all metrics that it matches and that have no entry of their own.
    """

    metric: str
    measures: str = Field(description="of what, by what estimator, on which images")
    unit: str = "nats"
    reported: float | None = None
    source: str | None = None
    better: Literal["higher", "lower", "closer"] | None = Field(
        None, description="than the reported value: above it, below it, or near it"
    )
    recalled: bool = Field(False, description="the reported value was not read in its source")
    against: str | None = Field(
        None,
        description="the competitor: a metric whose reported value the effect is measured from",
    )
    deterministic: bool = Field(False, description="nothing is random: one seed tells all")
    claim: str | None = Field(
        None, description="what was claimed without a number; it holds where the band is met"
    )
    at_most: float | None = None
    at_least: float | None = None
    equals: float | None = None
    tolerance: float | None = Field(None, ge=0)
    presets: list[PresetName] | None = None  # None: every one

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Expectation":
        low, high = self.band
        if self.reported is None and (self.better or self.recalled or self.against):
            raise ValueError(
                "better, recalled and against say something of a reported value; there is none"
            )
        if self.reported is not None and self.better is None:
            raise ValueError("reported needs better: higher, lower or closer")
        if self.claim is not None and self.reported is not None:
            raise ValueError("either reported, which is a number, or claim, which has none")
        if self.claim is not None and low is None and high is None:
            raise ValueError("claim needs a band, which tells whether it holds")
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

    @property
    def is_pattern(self) -> bool:
        return "*" in self.metric

    def describes(self, metric: str) -> bool:
        """Whether this entry is the metric's own, or a pattern that it matches."""
        if self.is_pattern:
            return fnmatch.fnmatchcase(metric, self.metric)
        return metric == self.metric

    def applies_to(self, preset: str) -> bool:
        """Whether the band and the reported value are meant for this preset."""
        return self.presets is None or preset in self.presets


Seeds = Annotated[list[Annotated[int, Field(strict=True, ge=0, lt=2**63)]], Field(min_length=1)]


class Block(Schema):
    """A block of the grid: its axes, and its own data, seeds and settings.

    A list as `data` stands for one block per data set.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[Any], Field(min_length=1)]]  # the axes

    data: str | Annotated[list[str], Field(min_length=1)] = ""
    seeds: Seeds | None = None  # None: every one
    settings: dict[str, Any] = {}


class Layer(Schema):
    """What a preset and the top level may hold."""

    data: str = ""
    seeds: Seeds = [0]
    settings: dict[str, Any] = {}
    grid: Annotated[
        list[Block], BeforeValidator(lambda grid: grid if isinstance(grid, list) else [grid])
    ] = Field(default=[], min_length=1)


class Presets(Schema):
    """All presets that a recipe may have."""

    paper: Layer = Layer()
    quick: Layer = Layer()
    embedded: Layer = Layer()
    scale: Layer = Layer()
    search: Layer = Layer()


class RecipeFile(Layer):
    """A whole file."""

    title: str
    source: str
    experiment: str
    uses: str = ""  # "recipe key=value ...": whose trained models the trials start from
    presets: Presets = Presets()
    publish: list[dict[str, Any]] = []  # cells whose models are published: axes and their values
    expect: list[Expectation] = []

    @pydantic.field_validator("experiment")
    @classmethod
    def _a_folder(cls, experiment: str) -> str:
        if not re.fullmatch("[a-z][a-z0-9_]*", experiment):
            raise ValueError("should be a name of small letters, digits and _")
        return experiment

    @pydantic.field_validator("uses")
    @classmethod
    def _a_recipe(cls, uses: str) -> str:
        if not uses.strip():
            raise ValueError("should read RECIPE KEY=VALUE ...")
        return uses

    @pydantic.model_validator(mode="after")
    def _one_band_a_metric(self) -> "RecipeFile":
        for preset in PRESETS:
            counts = Counter(e.metric for e in self.expect if e.applies_to(preset))
            for metric, count in counts.items():
                if count > 1:
                    raise ValueError(f"expect: {count} entries for {metric} in preset {preset}")
        return self

    @pydantic.model_validator(mode="after")
    def _competitors_have_numbers(self) -> "RecipeFile":
        for entry in self.expect:
            for preset in PRESETS:
                if entry.against and entry.applies_to(preset):
                    competitor(self.expect, entry, preset)
        return self


def competitor(expect: Sequence[Expectation], entry: Expectation, preset: str) -> float | None:
    """The reported value of what this entry is compared with; ValueError if it has none."""
    if entry.against is None:
        return None
    for other in expect:
        named = other.metric == entry.against and other.applies_to(preset)
        if named and other.reported is not None:
            return other.reported
    raise ValueError(f"expect: against {entry.against}, which has no reported value in {preset}")


def validate(
    model: type[Model],
    tree: Map,
    default: str,
    display: Callable[[str], str] = str,
    overridden: bool = False,
) -> Model:
    """`tree` as a `model`; BadInput gives the first mistake, unknown keys before others.

    `default` is the origin reported for a missing key; `display` names a top-level key.
    An error about several keys is located at the first one it names, or at `default` if the command
    line set any (`overridden`).
    """
    try:
        return model.model_validate(tree)
    except pydantic.ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        keys = [str(key) for key in first["loc"] if not isinstance(key, int)]
        name = ".".join([display(keys[0]), *keys[1:]]) + ": " if keys else ""
        where = locate(tree, first["loc"], default)
        if not keys and not overridden:
            words = re.findall(r"\w+", first["msg"])
            where = next((tree.origins[word] for word in words if word in tree), default)
        raise BadInput(f"{where}: {name}{_complaint(first, model)}") from error


def _complaint(error: "ErrorDetails", model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown{did_you_mean(str(error['loc'][-1]), _keys(model, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return "missing"
    message = re.sub(r"^(Value error, |(Input|List|String) )", "", error["msg"])
    message = re.sub(r" or instance of \w+| after validation.*|, unable to .*", "", message)
    message = message.replace("dictionary", "mapping")
    if isinstance(error["input"], dict | BaseModel):  # too long to repeat
        return message
    return f"{message}, not {reprlib.repr(error['input'])}"


def _keys(model: type[BaseModel], loc: Sequence[Any]) -> Iterable[str]:
    """The keys that may stand at `loc` below a model."""
    for key in loc:
        if key in model.model_fields:
            model = _model_in(model.model_fields[key].annotation) or model
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
