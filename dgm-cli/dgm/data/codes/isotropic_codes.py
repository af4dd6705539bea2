"""Generated codes that do not depend on the class and prefer no direction: there are no clusters.

At every cutoff, precision is the probability that two documents are of one class.
"""

from dgm.data.generated_codes import Codes, draw

TITLE = "Generated codes, isotropic"
REVISION = 1


def load() -> Codes:
    return draw("isotropic_codes", spread=0.0)
