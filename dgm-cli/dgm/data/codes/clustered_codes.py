"""Generated codes that scatter about their classes' centres, as an autoencoder's do."""

from dgm.data.generated_codes import SPREAD, Codes, draw

TITLE = "Generated codes, clustered"
REVISION = 1


def load() -> Codes:
    return draw("clustered_codes", SPREAD)
