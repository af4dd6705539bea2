"""What a run was made on, and requests that no machine can meet."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dgm.errors import BadInput
from dgm.trial import machine


def test_the_key_is_torchs_own() -> None:
    key = {"torch": torch.__version__, "device": torch.device("cuda:1").type, "threads": 2}
    assert machine.key("cuda:1", 2) == key
    code = "import sys; from dgm.trial import machine; machine.key('cpu', 1)\n"
    code += "machine.device_name('cpu'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cuda", "cuda:7", "mps", "xpu:1"])
def test_device_types(name: str) -> None:
    """Oracle: torch."""
    assert machine.device_type(name) == torch.device(name).type


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "cpu\n", "Cuda", "meta"])
def test_what_is_no_device(name: str) -> None:
    with pytest.raises(BadInput, match=r"^--device .*: there is cpu, cuda, mps") as caught:
        machine.key(name, 1)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_here() -> None:
    machine.check_device("cpu")
    with pytest.raises(BadInput, match="^--device cuda:99: is not available here "):
        machine.check_device("cuda:99")


@pytest.mark.parametrize("threads", [0, -1, 10**5, 2**70])
def test_threads_that_cannot_be_started(threads: int) -> None:
    most = max(64, machine.cores())
    assert machine.key("cpu", most)["threads"] == most
    with pytest.raises(BadInput, match=f"^--threads {threads}: give 1 to {most}; this machine"):
        machine.key("cpu", threads)


def test_seconds_between_checkpoints() -> None:
    assert [machine.check_seconds(seconds) for seconds in (0.0, 30.0)] == [0, 30]
    for seconds in (math.nan, math.inf, -math.inf, -1.0):
        with pytest.raises(BadInput, match=f"^--checkpoint-every {seconds}: give a number"):
            machine.check_seconds(seconds)


def test_only_the_packages_own_checkout_has_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed inside a user's repository, dgm does not cite the user's commits."""

    def git(*arguments: str) -> str:
        as_someone = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", str(tmp_path), *as_someone, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(package: str) -> Any:
        module = tmp_path / package / "trial" / "machine.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.touch()
        monkeypatch.setattr(machine, "__file__", str(module))
        return machine.commit.__wrapped__()

    assert commit("dgm-cli/dgm") is None  # no repository at all
    git("init", "-q")
    (tmp_path / ".gitignore").write_text("venv\nthesis\n")
    git("add", ".")
    git("commit", "-qm", "all")
    head = git("rev-parse", "HEAD")
    for package in ("venv/lib/dgm", "src/dgm-cli/dgm", "dgm"):
        assert commit(package) is None, package
    assert commit("dgm-cli/dgm") == head
    (tmp_path / "thesis").touch()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "page.md").touch()
    assert commit("dgm-cli/dgm") == head
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
        assert commit("dgm-cli/dgm") == head
    (tmp_path / "recipes" / "mine.yaml").touch()
    assert commit("dgm-cli/dgm") == head + "+changes"
    (tmp_path / "recipes" / "mine.yaml").unlink()
    (tmp_path / "dgm-cli" / "dgm" / "cli.py").touch()
    assert commit("dgm-cli/dgm") == head + "+changes"
