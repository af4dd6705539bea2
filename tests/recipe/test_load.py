"""Where recipes are found, what a list of them shows, and seeds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dgm import experiments
from dgm.engine.load import load
from dgm.errors import BadInput
from dgm.recipe import load as recipe

from .toy import RECIPE, Settings, message, with_blocks, write


def test_preset_names() -> None:
    assert message("quik") == "recipes/toy.yaml: no preset quik; did you mean quick?"
    assert (
        message("scale") == "recipes/toy.yaml: no preset scale; choose from embedded, paper, quick"
    )


def test_files_that_are_no_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def complaint(name: str) -> str:
        with pytest.raises(BadInput) as caught:
            load(name)
        return str(caught.value)

    assert complaint("recipes") == "recipes: is a directory; a recipe is a .yaml file"
    assert complaint("tyo") == "tyo: no such recipe; did you mean toy?"
    assert complaint("recipes/toi.yaml") == "recipes/toi.yaml: no such recipe; did you mean toy?"
    for name in ("...yaml", ".hidden.yaml"):
        Path(name).write_text(RECIPE)
        assert complaint(name).endswith("which names its results, begins with no dot")
    for text in ("", "# only a comment\n", "---\n"):
        Path("recipes/empty.yaml").write_text(text)
        assert complaint("empty") == "recipes/empty.yaml: is empty"
    for text in ("- 1\n", "services: {web: {image: nginx}}\n"):
        Path("recipes/foreign.yaml").write_text(text)
        assert "is no recipe, a mapping with title" in complaint("foreign")
    Path("recipes/latin.yaml").write_bytes(b"title: \xff\n")
    assert complaint("latin") == "recipes/latin.yaml: is not text in UTF-8"
    Path("recipes/deep.yaml").write_text("[" * 5000)
    assert complaint("deep").startswith("recipes/deep.yaml")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert complaint("toy") == "recipes/toy.yaml: cannot be read: Permission denied"


def test_a_name_means_the_recipe_even_beside_a_folder_of_that_name() -> None:
    Path("toy").mkdir()
    assert recipe.find("toy") == Path("recipes/toy.yaml")
    assert load("recipes/toy.yaml").name == "toy"


def test_recipes_of_the_repository_are_found_from_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = Path(__file__).parents[2] / "recipes"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert recipe.all_recipes() == sorted(recipes.glob("*.yaml"))
    for path in recipes.glob("*.yaml"):
        assert recipe.find(path.stem) == path


def test_header_is_read_without_the_experiment_or_torch() -> None:
    write("experiment: toy", "experiment: elsewhere", with_blocks())
    code = (
        "import sys;"
        "from dgm.recipe.load import header; h = header('toy'); "
        "print(h.name, h.experiment, h.presets, h.expect[0].reported); "
        "assert not {'torch', 'pandas', 'dgm.experiments.elsewhere'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.stderr == ""
    assert done.stdout == ("toy elsewhere ['paper', 'quick', 'embedded'] -130.0\n")


def test_an_import_that_fails_inside_an_experiment_is_not_taken_for_a_wrong_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import dgm.experiments

    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").touch()
    (tmp_path / "broken" / "trial.py").write_text("import no_such_package\n")
    monkeypatch.setattr(dgm.experiments, "__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        experiments.trial("broken")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0:5", [0, 1, 2, 3, 4]), ("3", [3]), ("0,2", [0, 2]), ("7,0:2", [7, 0, 1])],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert recipe.parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", "x", "5:0", "-1", "0,0", "0:", "1.5", "0:2:3", ",", "18446744073709551616", "9" * 5000],
)
def test_seeds_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(BadInput, match=r"should read like 0:5"):
        recipe.parse_seeds(text)


def test_seeds_are_bounded() -> None:
    assert recipe.parse_seeds("9223372036854775807") == [2**63 - 1]
    for text in ("0:3000000", "0:10001", "0:9000,9000:20000", "0:" + "9" * 30):
        with pytest.raises(BadInput, match=r"seeds; 10,000 are the most"):
            recipe.parse_seeds(text)


def test_the_search_for_settings_is_a_preset() -> None:
    write("  quick: {", "  search: {data: digits}\n  quick: {")
    assert recipe.header("toy").presets == ["paper", "search", "quick", "embedded"]
    assert {trial.data for trial in load("toy", "search").trials} == {"digits"}


@pytest.mark.parametrize("name", ["x" * 300, "a\nb", "a\x1bb", "\udc80"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        recipe.find(name)
    assert str(caught.value).isprintable()


def test_a_large_file_is_no_recipe() -> None:
    write(text=RECIPE + "#" * 2**18)
    assert message() == "recipes/toy.yaml: has more than 262,144 bytes, too many for a recipe"


def test_uses_means_the_recipe_beside_the_one_that_uses_it() -> None:
    Path("mine").mkdir()
    one = RECIPE[: RECIPE.index("grid:")].replace("[0, 1]", "[0]")
    Path("mine/other.yaml").write_text(one.replace("hidden: 100", "hidden: 7"))
    Path("recipes/other.yaml").write_text(one)
    for name, hidden in (("mine/user.yaml", 7), ("recipes/user.yaml", 100)):
        Path(name).write_text(one + "uses: other rate=0.5\n")
        used = load(name).uses
        assert used is not None
        assert used.path == Path(name).parent / "other.yaml"
        assert used.trials[0].settings == Settings.model_validate(
            {"hidden": hidden, "rate": 0.5, "samples": 60_000_000}
        )
    Path("mine/other.yaml").unlink()
    found = load("mine/user.yaml").uses
    assert found is not None
    assert found.path == Path("recipes/other.yaml")


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ("toy", "uses: recipes/toy.yaml starts from this recipe"),
        ("circle", "uses: recipes/circle.yaml:2: uses: recipes/toy.yaml starts from this recipe"),
        ("mine/toy.yaml", "uses: mine/toy.yaml has the same name, and so the same folder of res"),
        ("othr", "uses: othr: no such recipe; did you mean other?"),
        ("other hiden=3", "uses: settings.hiden: unknown; did you mean hidden?"),
        ("other hidden=010", "uses: 010: has two meanings in YAML"),
        ("other rates=[1,1]", "uses: rates [1.0, 1.0]: two are the same"),
        ("other grid.hidden=[3,4]", "uses: 4 trials for 2 seeds"),
        ('"other \\0"', "holds the character U+0000"),
    ],
)
def test_what_is_wrong_with_uses(uses: str, expected: str) -> None:
    one = RECIPE[: RECIPE.index("grid:")]
    Path("recipes/other.yaml").write_text(one)
    Path("mine").mkdir()
    Path("mine/toy.yaml").write_text(one)
    Path("recipes/circle.yaml").write_text("\nuses: toy\n" + one)
    write(text=one + f"uses: {uses}\n")
    assert message().startswith(f"recipes/toy.yaml:10: {expected}")
