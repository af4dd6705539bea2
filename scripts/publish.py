"""Mark results as official: README and pages must agree with them from now on.

Names are recipes, or `benchmarks`; without any, every recipe that has results of the preset.
"""

import argparse
import sys
from pathlib import Path

from dgm.engine import official
from dgm.errors import DgmError

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--preset", default="paper")
    chosen = parser.parse_args()
    every = sorted(path.parent.parent.name for path in RESULTS.glob(f"*/{chosen.preset}/run.json"))
    try:
        for name in chosen.names or every:
            target = RESULTS if name == "benchmarks" else RESULTS / name / chosen.preset
            official.publish(target)
            print(f"official: {target.relative_to(RESULTS.parent)}")
    except DgmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
