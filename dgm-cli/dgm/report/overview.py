"""The text of `dgm list` and `dgm show`."""

import csv
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgm.errors import DgmError
from dgm.recipe.load import Recipe
from dgm.recipe.schema import TrialSettings
from dgm.recipe.union import SettingsType, fields, members
from dgm.report.reproduction import reproduced_text
from dgm.text import as_given, columns, counted

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 100  # characters of a line
LONGEST = 18  # of a value that stands beside its meaning


def reproduced(summary: Path) -> str:
    """ "7 of 9, 1 about, 1 not" reported numbers and claims of a run's summary.csv; "not run"
    without one, "not judged" where nothing was reported."""
    try:
        with summary.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if "verdict" not in (rows.fieldnames or ()):
                raise ValueError("no verdicts")
            counts = Counter(row.get("reproduction") for row in rows)
            return reproduced_text(counts) or "not judged"
    except FileNotFoundError:
        return "not run"
    except (OSError, ValueError, csv.Error) as error:
        raise DgmError(f"{summary}: is not the summary of a run") from error


def list_table(rows: Iterable[Sequence[str]]) -> str:
    """A line for each recipe: name, title, how many of the reported numbers are reproduced, and the
    time that paper and quick take."""
    head = ("recipe", "shows", "reproduced", "paper", "quick")
    lines: list[Sequence[str]] = [head, *rows]
    others = columns([(name, "", *rest) for name, _, *rest in lines])
    room = WIDTH - max(map(len, others))  # what the other columns leave to the titles
    return "\n".join(
        columns(
            (name, textwrap.shorten(title, room, placeholder=" ..."), *rest)
            for name, title, *rest in lines
        )
    )


def page(
    recipe: Recipe,
    settings: SettingsType,
    times: Mapping[str, str],
    summary: "pd.DataFrame | None" = None,
) -> str:
    """A recipe's title and source, its trials, its settings with their meanings, expected numbers.

    `times` are by preset; `summary` is that of this preset's run, if there was one.
    """
    took = ", ".join(f"{preset} {time or 'not timed'}" for preset, time in times.items())
    trials = counted(len(recipe.trials), "trial")
    seeds = counted(len(recipe.resolved["seeds"]), "seed")
    parts = [
        recipe.name,
        recipe.title,
        recipe.source,
        f"{recipe.path}",
        f"time: {took}",
        "",
        f"{trials} of preset {recipe.preset}, {seeds}:",
        *_blocks(recipe.resolved["grid"]),
        "",
        "settings, where a line above has none of its own:",
        *_settings(recipe.resolved["grid"], settings),
        "",
        *_expected(recipe, summary),
    ]
    return "\n".join(parts).rstrip()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _usual(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The value of each setting in the first block that has it and does not vary it."""
    usual: dict[str, Any] = {}
    for block in blocks:
        usual = {**block["settings"], **usual}
    return usual


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line a block of the grid: its data, its axes, and settings that are not the usual ones."""
    usual = _usual(blocks)
    for block in blocks:
        own = {key: value for key, value in block["settings"].items() if value != usual[key]}
        axes = {key: block[key] for key in block if key not in ("data", "settings")}
        parts = [block["data"]]
        parts += [f"{key} {', '.join(map(_text, values))}" for key, values in axes.items()]
        parts += [f"{key} {_text(value)}" for key, value in own.items()]
        yield textwrap.fill(
            "; ".join(parts), WIDTH, initial_indent="  - ", subsequent_indent="    "
        )


def _settings(blocks: Sequence[Mapping[str, Any]], settings: SettingsType) -> Iterator[str]:
    """Each settings class: the first line of its docstring, then its fields."""
    usual, done = _usual(blocks), set(TrialSettings.model_fields)
    names = fields(settings)
    values = {name: _text(usual[name]) if name in usual else "as above" for name in names}
    wide = max(map(len, names))
    deep = max(len(value) for value in values.values() if len(value) <= LONGEST)
    indent = " " * (wide + deep + 6)
    for model in dict.fromkeys(base for each in members(settings) for base in each.__mro__):
        if not issubclass(model, TrialSettings):
            continue
        new = [name for name in model.model_fields if name not in done]
        own = [name for name in new if name in model.__dict__.get("__annotations__", {})]
        if own:
            yield f"  # {(model.__doc__ or model.__name__).splitlines()[0]}"
        for name in own:
            head = f"  {name:{wide}}  {values[name]:{deep}}  "
            meaning = model.model_fields[name].description or name.replace("_", " ")
            if len(head) > len(indent):
                first, rest = f"  {name:{wide}}  ", " " * (wide + 4)
                yield textwrap.fill(
                    values[name], WIDTH, initial_indent=first, subsequent_indent=rest
                )
                head = indent
            yield textwrap.fill(meaning, WIDTH, initial_indent=head, subsequent_indent=indent)
        done.update(own)


def _expected(recipe: Recipe, summary: "pd.DataFrame | None") -> Iterator[str]:
    """Each expected metric: what it measures, what was reported, its band, and what came out."""
    from dgm.report.summary import band_text, measured_text

    rows = {} if summary is None else {row["metric"]: row for row in summary.to_dict("records")}
    entries = [entry for entry in recipe.expect if entry.applies_to(recipe.preset)]
    if entries:
        yield "expected:"
    previous = ""
    for entry in entries:
        low, high = entry.band
        band = band_text({"low": low, "high": high})
        source = f" ({entry.source})" if entry.source else ""
        row, facts = rows.get(entry.metric), []
        if entry.reported is not None:
            recalled = "recalled, " if entry.recalled else ""
            facts.append(
                f"reported {as_given(entry.reported)}{source}, {recalled}{entry.better} is better"
            )
        if entry.claim is not None:
            facts.append(f"claim: {entry.claim}{source}")
        if row and isinstance(row["reproduction"], str):
            note = f" ({row['note']})" if isinstance(row["note"], str) else ""
            facts[-1] += f": {row['reproduction']}{note}"
        if band:
            facts.append(f"band {band}" + (f": {row['verdict']}" if row else ""))
        if row:
            seeds = f" ({counted(row['n'], 'seed')})" if row["n"] else ""
            facts.append(f"measured {measured_text(row)}{seeds}")
        yield f"  {entry.metric}, {entry.unit}"
        measures = entry.measures if entry.measures != previous else "as above"
        for text in filter(None, (measures, "; ".join(facts))):
            yield textwrap.fill(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
        previous = entry.measures
