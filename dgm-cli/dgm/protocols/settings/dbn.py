"""Settings of the deep belief net of Hinton, Osindero & Teh (2006).

Sizes and schedule are the paper's; its rates were never published.
"""

from typing import Annotated

from pydantic import Field

from dgm.protocols.settings.rbm import DrawnGreedySettings


class DBNSettings(DrawnGreedySettings):
    """Greedy layers, phases of up-down, and a last phase on all images."""

    hidden: list[Annotated[int, Field(gt=0)]] = Field(
        [500, 500, 2000], min_length=2, description="units of the hidden layers, the lowest first"
    )
    train_size: int = Field(44_000, gt=0, description="images learned from before the last phase")
    gibbs_steps: list[Annotated[int, Field(ge=1)]] = Field(
        [3, 6, 10], min_length=1, description="at the top, in each phase of up-down"
    )
    up_down_epochs: int = Field(100, gt=0, description="of each phase")
    up_down_rate: float = Field(0.1, gt=0, description="of the directed layers; does not fall")
    up_down_top_rate: float = Field(0.4, gt=0, description="of the top; does not fall")
    up_down_decay: float = Field(0.0, ge=0, description="of the weights, times the rate")
    up_down_persistent: bool = Field(
        False, description="whether the Gibbs chains at the top persist from update to update"
    )
    fresh: float = Field(
        0.1, gt=0, le=1, description="weight of the net at each epoch's end in the averaged net"
    )
    last_epochs: int = Field(100, gt=0, description="on all images, at most")
