"""Settings of support vectors and of nearest neighbours: what there is to choose from."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from dgm.recipe.schema import TrialSettings


class SVMSettings(TrialSettings):
    """Support vectors, one machine for each kernel and cost."""

    kernels: list[tuple[Literal["rbf", "poly", "unit_poly"], float]] = Field(
        [("rbf", 0.02), ("rbf", 0.03), ("poly", 4)],
        min_length=1,
        description="rbf with its gamma; poly, or unit_poly of images of length 1, with its degree",
    )
    costs: list[Annotated[float, Field(gt=0)]] = Field(
        [3.0, 10.0, 30.0], min_length=1, description="C"
    )
    choice_size: int = Field(
        10_000, gt=0, description="training images (the first ones) used to choose kernel and C"
    )

    @pydantic.model_validator(mode="after")
    def _kernels_there_are(self) -> "SVMSettings":
        for kernel, value in self.kernels:
            if value <= 0 or (kernel != "rbf" and value != int(value)):
                raise ValueError(f"kernels: [{kernel}, {value:g}] has no such gamma or degree")
        return self


class NeighbourSettings(TrialSettings):
    """Nearest neighbours, for each power of the distance and each number of neighbours."""

    powers: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        [1, 2, 3], min_length=1, description="p of the distance sum_i |x_i - y_i|^p"
    )
    most_neighbours: int = Field(10, gt=0, description="k from 1 up to this")
