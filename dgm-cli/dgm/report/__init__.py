"""From tables to numbers, verdicts, figures and pages."""

import logging

# Figures take nothing from a user's matplotlibrc, so its mistakes are no concern here.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
