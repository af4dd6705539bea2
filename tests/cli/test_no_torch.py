"""Commands that train nothing do without torch, which takes a second to import."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
R = "infinite_dbn"
HEAVY = ("torch", "sklearn", "numba", "requests")
COMMANDS = [
    ["--help"],
    ["list"],
    ["show", R],
    ["status"],
    ["check", "--preset", "embedded"],
    ["run", R, "--dry-run"],
    ["diff", f"results/{R}/paper", f"results/{R}/embedded"],
    ["data", "list"],
    ["plot", R, "--preset", "embedded", "--out"],
]


def test_commands_that_train_nothing_do_without_torch(tmp_path: Path) -> None:
    """One process for all; what a plot needs of the other recipes is imported."""
    shutil.copytree(ROOT / "results" / R / "embedded", tmp_path / R / "embedded")
    COMMANDS[-1].append(str(tmp_path))
    code = f"""
import sys
from dgm import cli, experiments
for arguments in {COMMANDS!r}:
    sys.argv = ["dgm", *arguments]
    try:
        cli.main()
    except SystemExit as stop:
        assert stop.code in (0, 1), (arguments, stop.code)
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, (arguments, heavy)
for name in {[path.stem for path in ROOT.glob("recipes/*.yaml")]!r}:
    experiments.report(name), experiments.settings(name)
    assert "torch" not in sys.modules, name
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_help_is_instant() -> None:
    """It imports nothing that takes long."""
    code = (
        "import sys; from dgm.cli import cli; cli(['--help'], standalone_mode=False);"
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'pydantic', 'yaml'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for command in ("run", "list", "show", "check", "status", "plot", "diff", "data"):
        assert f"\n  {command} " in ran.stdout
    assert "..." not in ran.stdout.partition("Commands:")[2]
