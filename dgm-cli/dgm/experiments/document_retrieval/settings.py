"""Settings of a row, a representation of documents and its size: one class for each kind."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.protocols.settings.autoencoder import AutoencoderSettings
from dgm.recipe.schema import TrialSettings

REVISION = 2
CUTOFFS = [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]  # documents retrieved
CLOUDS = 2  # numbers of a code that is drawn as a point


class Row(TrialSettings):
    """What every row has."""

    kinds: ClassVar[tuple[str, ...]] = ("documents", "codes")

    row: str = Field("autoencoder", description="the row's name")
    code: int = Field(10, ge=0, description="numbers of the code; 0 where it is all words")


class Collection(Row):
    """What every row has in which a collection's documents are ranked."""

    judged: Literal["test", "validation"] = Field(
        "test",
        description="validation: every fifth training document is left out and judged in place of "
        "test documents, for choosing settings",
    )


class WordsRow(Collection):
    """What every row has that sees a document's words."""

    words: Literal["counts", "log", "log_idf"] = Field(
        "log",
        description="what a method sees of a document: counts, log(1 + count), or that "
        "times the word's inverse document frequency",
    )


class AutoencoderRow(AutoencoderSettings, WordsRow):
    """A deep autoencoder; sizes of the net are the paper's."""

    method: Literal["autoencoder"] = Field(
        "autoencoder",
        description="autoencoder; lsa: singular vectors; tfidf: all words, as `words` says; "
        "best: the topics' posterior, where the collection was drawn from a known model; "
        "perfect: every document that shares a topic before all others; "
        "codes: the data are codes already",
    )
    code: int = Field(10, gt=0, description="numbers of the code; 0 where it is all words")
    layers: list[Annotated[int, Field(gt=0)]] = Field(
        [500, 250, 125], description="logistic units between words and code"
    )


class LSARow(WordsRow):
    """Latent semantic analysis."""

    method: Literal["lsa"]
    code: int = Field(10, gt=0, description="numbers of the code")


class TFIDFRow(WordsRow):
    """All words."""

    method: Literal["tfidf"]


class CeilingRow(Collection):
    """A ranking that knows more than the words."""

    method: Literal["best", "perfect"]


class CodesRow(Row):
    """Codes that were generated."""

    method: Literal["codes"]
    documents: int = Field(400_000, gt=1, description="how many of them to use (the first ones)")
    parts: int = Field(1, gt=0, description="parts of the queries, a trial each")
    part: int = Field(0, ge=0, description="which of the parts, counted from 0")

    @pydantic.model_validator(mode="after")
    def _a_part_that_is_there(self) -> "CodesRow":
        if self.part >= self.parts:
            raise ValueError(f"part {self.part}: the {self.parts} parts are counted from 0")
        return self


Settings = AutoencoderRow | LSARow | TFIDFRow | CeilingRow | CodesRow
