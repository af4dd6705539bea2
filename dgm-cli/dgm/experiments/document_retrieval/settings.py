"""Settings of a row: a representation of documents and its size."""

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from dgm.protocols.settings.autoencoder import AutoencoderSettings
from dgm.recipe.schema import CODES, COLLECTIONS

REVISION = 2
CUTOFFS = [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]  # documents retrieved
CLOUDS = 2  # numbers of a code that is drawn as a point


class Settings(AutoencoderSettings):
    """One row: a representation of documents and its size. Sizes of the net are the paper's."""

    sets: ClassVar[tuple[str, ...]] = (*COLLECTIONS, *CODES)

    row: str = Field("autoencoder", description="the row's name")
    method: Literal["autoencoder", "lsa", "tfidf", "best", "perfect", "codes"] = Field(
        "autoencoder",
        description="lsa: singular vectors; tfidf: all words, as `words` says; "
        "best: the topics' posterior, where the collection was drawn from a known model; "
        "perfect: every document that shares a topic before all others; "
        "codes: the data are codes already",
    )
    layers: list[Annotated[int, Field(gt=0)]] = Field(
        [500, 250, 125], description="logistic units between words and code"
    )
    code: int = Field(10, ge=0, description="numbers of the code; 0 where it is all words")
    words: Literal["counts", "log", "log_idf"] = Field(
        "log",
        description="what a method sees of a document: counts, log(1 + count), or that "
        "times the word's inverse document frequency",
    )
    judged: Literal["test", "validation"] = Field(
        "test",
        description="validation: every fifth training document is left out and judged in place of "
        "test documents, for choosing settings",
    )

    documents: int = Field(400_000, gt=1, description="method codes: the first so many of them")
    parts: int = Field(1, gt=0, description="method codes: of the queries, a trial each")
    part: int = Field(0, ge=0, description="method codes: which of the parts")

    @pydantic.model_validator(mode="after")
    def _numbers_that_are_there(self) -> "Settings":
        if self.code == 0 and self.method in ("autoencoder", "lsa"):
            raise ValueError(f"{self.method} needs a code of 1 number or more")
        if self.part >= self.parts:
            raise ValueError(f"part {self.part}: the {self.parts} parts are counted from 0")
        return self
