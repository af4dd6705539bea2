"""Mark results as official: README and pages must agree with them from now on.

Names are recipes, or `benchmarks`; without any, every recipe that has results of the preset. Models
that a recipe publishes and that are not stored yet are trained first.
"""

import argparse
import sys
from pathlib import Path

from dgm.engine import official
from dgm.engine.load import load
from dgm.engine.plan import Options, plan
from dgm.engine.publish import unpublished
from dgm.engine.results import Store
from dgm.engine.run import run
from dgm.errors import DgmError

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--no-train", action="store_true", help="mark what is there")
    chosen = parser.parse_args()
    every = sorted(path.parent.parent.name for path in RESULTS.glob(f"*/{chosen.preset}/run.json"))
    try:
        for name in chosen.names or every:
            target = RESULTS if name == "benchmarks" else RESULTS / name / chosen.preset
            if chosen.preset == "paper" and name != "benchmarks" and not chosen.no_train:
                publish_models(name, target)
            official.publish(target)
            print(f"official: {target.relative_to(RESULTS.parent)}")
    except DgmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def publish_models(name: str, target: Path) -> None:
    """Train and store the models that a recipe publishes, where one is not stored yet."""
    recipe, options = load(name), Options(out=RESULTS, extend=True, publish=True)
    if recipe.publish and unpublished(recipe, plan(recipe, options), Store(target, extend=True)):
        run(recipe, options)


if __name__ == "__main__":
    sys.exit(main())
