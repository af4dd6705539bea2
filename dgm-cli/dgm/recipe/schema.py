"""What may stand in a recipe, and how to say in one line, with file and line, what may not."""

import fnmatch
import itertools
import re
import reprlib
import types
from collections.abc import Callable, Iterable, Sequence
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)

import pydantic
from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo
from pydantic.fields import FieldInfo

from dgm.errors import BadInput
from dgm.recipe.located import Map, locate
from dgm.text import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PresetName = Literal["paper", "quick", "embedded", "scale"]
# Data sets, a module of dgm.data each: of images, of documents, and of documents' codes.
SETS = ("mnist", "frey_faces", "digits", "bars_and_stripes")
COLLECTIONS = (
    "newsgroups",
    "newsgroups_unstripped",
    "newsgroups_bow",
    "reuters",
    "rcv1",
    "synthetic_documents",
)
CODES = ("clustered_codes", "isotropic_codes")
NAMES = (*SETS, *COLLECTIONS, *CODES)
PRESETS: tuple[str, ...] = get_args(PresetName)
Model = TypeVar("Model", bound=BaseModel)


class Schema(BaseModel):
    """Data whose keys are all known, whose numbers are finite and are not `yes` or `no`."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        types = (annotation, *get_args(annotation))
        if isinstance(value, bool) and (int in types or float in types) and bool not in types:
            raise ValueError("should be a number")
        return value


class TrialSettings(Schema):
    """What an experiment's Settings derive from: a field a setting, with its unit and meaning."""

    sets: ClassVar[tuple[str, ...]] = SETS  # the data sets that the experiment can take


SettingsType: TypeAlias = type[TrialSettings] | types.UnionType
"""What an experiment calls its `Settings`: a class, or a union of one class for each learner,

    class KNN(Row): learner: Literal["knn"] = "knn"; most_neighbours: int = 10
    Settings = DBN | Backprop | KNN  # a cell that names no learner is of the first class

in which one field, here `learner`, is in each class a Literal of values of its own.
"""


def members(settings: SettingsType) -> tuple[type[TrialSettings], ...]:
    """The classes of a union, or the one class."""
    return get_args(settings) if isinstance(settings, types.UnionType) else (settings,)


def fields(settings: SettingsType) -> dict[str, FieldInfo]:
    """All settings by name, those of each class of a union."""
    classes = reversed(members(settings))  # where two have a field, the first says what it means
    return {name: info for each in classes for name, info in each.model_fields.items()}


def chosen_class(settings: SettingsType, values: Map, where: str) -> type[TrialSettings]:
    """The class of a union that a cell's values choose; BadInput where they name none."""
    classes = members(settings)
    if len(classes) == 1:
        return classes[0]
    field = chooser(settings)
    by_value = {value: each for each in classes for value in _literals(each, field)}
    for value, chosen in by_value.items():
        if values.get(field, next(iter(by_value))) == value:
            return chosen
    known = ", ".join(map(repr, by_value))
    raise BadInput(
        f"{locate(values, [field], where)}: settings.{field}: should be one of {known}, "
        f"not {reprlib.repr(values[field])}"
    )


def chooser(settings: SettingsType) -> str:
    """The field of a union that is in each class a Literal of values of its own."""
    classes = members(settings)
    for field in classes[0].model_fields:
        values = [_literals(each, field) for each in classes]
        if all(values) and len({*itertools.chain(*values)}) == sum(map(len, values)):
            return field
    raise TypeError(f"{settings}: no field tells the classes apart")


def _literals(model: type[BaseModel], field: str) -> tuple[Any, ...]:
    """The values of a field that is a Literal."""
    annotation = model.model_fields[field].annotation if field in model.model_fields else None
    return get_args(annotation) if get_origin(annotation) is Literal else ()


class Expectation(Schema):
    """What the paper reported of a metric, and the band that the measured mean must meet.

    A name with `*` stands for all metrics that it matches and that have no entry of their own.
    """

    metric: str
    measures: str = Field(description="of what, by what estimator, on which images")
    unit: str = "nats"
    reported: float | None = None
    source: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    equals: float | None = None
    tolerance: float | None = Field(None, ge=0)
    presets: list[PresetName] | None = None  # None: every one

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


Seeds = Annotated[list[Annotated[int, Field(strict=True, ge=0)]], Field(min_length=1)]


class Block(Schema):
    """A part of the grid: its axes, and the data, seeds and settings it has of its own.

    With a list as its data it is a part for each of these sets.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[Any], Field(min_length=1)]]  # the axes

    data: str | Annotated[list[str], Field(min_length=1)] = ""
    seeds: Seeds | None = None  # None: every one
    settings: dict[str, Any] = {}


class Layer(Schema):
    """What a preset may hold, and the top level too."""

    data: str = ""
    seeds: Seeds = [0]
    settings: dict[str, Any] = {}
    grid: Annotated[
        list[Block], BeforeValidator(lambda grid: grid if isinstance(grid, list) else [grid])
    ] = Field(default=[], min_length=1)


class Presets(Schema):
    """The closed list of names."""

    paper: Layer = Layer()
    quick: Layer = Layer()
    embedded: Layer = Layer()
    scale: Layer = Layer()


class RecipeFile(Layer):
    """A whole file."""

    title: str
    source: str
    experiment: str
    uses: str = ""  # "recipe key=value ...": whose trained models the trials start from
    presets: Presets = Presets()
    expect: list[Expectation] = []

    @pydantic.model_validator(mode="after")
    def _one_band_a_metric(self) -> "RecipeFile":
        for preset in PRESETS:
            metrics = [e.metric for e in self.expect if e.applies_to(preset)]
            for metric in metrics:
                if metrics.count(metric) > 1:
                    raise ValueError(f"expect: two entries for {metric} in preset {preset}")
        return self


def validate(
    model: type[Model], tree: Map, default: str, display: Callable[[str], str] = str
) -> Model:
    """`tree` as a `model`; BadInput says the first thing that is wrong, unknown keys first.

    `default` stands for the origin of what is nowhere in the tree; `display` names a top-level key.
    """
    try:
        return model.model_validate(tree)
    except pydantic.ValidationError as error:
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        keys = [str(key) for key in first["loc"] if not isinstance(key, int)]
        name = ".".join([display(keys[0]), *keys[1:]]) + ": " if keys else ""
        where = locate(tree, first["loc"], default)
        raise BadInput(f"{where}: {name}{_complaint(first, model)}") from error


def _complaint(error: "ErrorDetails", model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return f"unknown{did_you_mean(str(error['loc'][-1]), _keys(model, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return "missing"
    said = re.sub(r"^(Value error, |(Input|List|String) )", "", error["msg"])
    said = re.sub(r" or instance of \w+| after validation.*|, unable to .*", "", said)
    said = said.replace("dictionary", "mapping")
    if isinstance(error["input"], dict | BaseModel):  # too long to repeat
        return said
    return f"{said}, not {reprlib.repr(error['input'])}"


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
