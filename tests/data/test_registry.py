"""Sets by name: what there is, what is missing, what is altered, and `dgm data`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dgm import data
from dgm.data.images import digits, mnist
from dgm.errors import BadInput, MissingData

SETS = Path(data.__file__).parent


@pytest.mark.parametrize("kind", data.KINDS)
def test_a_module_is_all_that_a_set_needs(kind: str) -> None:
    modules = sorted(path.stem for path in (SETS / kind).glob("[!_]*.py"))
    assert list(data.names(kind)) == modules != []
    for name in modules:
        module = data.module(name)
        assert data.title(name) == module.TITLE != ""
        assert module.REVISION >= 1
        assert all(file.name for file in data.files_of(name))
        assert callable(module.load)


def test_kinds() -> None:
    assert {*data.names("images", "densities"), *data.names("documents", "codes")} == {
        *data.names()
    }
    assert len(data.names()) == sum(len(data.names(kind)) for kind in data.KINDS)
    assert len({data.title(name) for name in data.names()}) == len(data.names())
    with pytest.raises(KeyError):
        data.names("image")


def test_what_is_known_of_a_set_loads_nothing_heavy(places: Path) -> None:
    """Nor does it read a file: there are none."""
    ask = """if True:
        import json, sys
        from dgm import data
        import dgm.data.binarise
        known = {n: [data.title(n), data.code(n), data.missing(n)] for n in data.names()}
        heavy = {"torch", "scipy", "sklearn", "pandas", "numba", "pooch", "requests"}
        print(json.dumps([known, sorted(heavy & {*sys.modules})]))
    """
    answer = subprocess.run(
        [sys.executable, "-c", ask], check=True, capture_output=True, text=True
    ).stdout
    known, heavy = json.loads(answer)
    assert heavy == []
    assert known == {n: [data.title(n), data.code(n), data.missing(n)] for n in data.names()}


def test_the_code_is_that_of_revision_and_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(name: str) -> bool:
        return data.code(name) != before[name]

    before = {name: data.code(name) for name in data.names()}
    assert len({*before.values()}) == len(before)
    assert all(len(code) == 64 for code in before.values())
    first, *others = mnist.FILES
    for file, counts in (
        (first._replace(content_sha256="0" * 64), True),
        (first._replace(published_sha256=None), False),  # another file of the same content
        (first._replace(name="images.gz"), False),
    ):
        monkeypatch.setattr(mnist, "FILES", (file, *others))
        assert changed("mnist") == counts
    monkeypatch.setattr(mnist, "FILES", (*others, first))
    assert changed("mnist")
    monkeypatch.setattr(digits, "REVISION", 2)
    assert changed("digits") and not changed("bars_and_stripes")


def test_sets_by_name() -> None:
    assert data.load("digits") is data.load("digits")
    assert data.fetch("digits") == []
    for ask in (data.load, data.fetch, data.files_of, data.title, data.code, data.missing):
        with pytest.raises(BadInput, match=r"^data: no mnsit; did you mean mnist\?$"):
            ask("mnsit")
        said = r"^data: no os; choose from bars, bars_and_stripes, .*digits"
        with pytest.raises(BadInput, match=said):
            ask("os")


def test_missing_files_are_looked_for_and_not_read(
    places: Path, put: Callable[..., object]
) -> None:
    looked = f"not in {places / 'mnist'} or {places.parent / 'cache' / 'dgm' / 'mnist'}"
    assert data.missing("mnist") == (
        f"mnist: train-images-idx3-ubyte.gz and 3 more are {looked}; `dgm data fetch mnist` gets it"
    )
    put("mnist", *[b"other"] * 4)
    assert data.missing("mnist") is None
    (places / "mnist" / mnist.FILES[2].name).unlink()
    assert data.missing("mnist") == (
        f"mnist: t10k-images-idx3-ubyte.gz is {looked}; `dgm data fetch mnist` gets it"
    )
    assert str(data.missing("rcv1")).endswith("; a copy has to come from you")
    assert data.missing("digits") is None


FIRST = {
    "newsgroups": ("20newsgroups", "20news-bydate.tar.gz"),
    "newsgroups_bow": ("20newsgroups/nvdm_bow", "train.feat"),
    "reuters": ("reuters21578", "reut2-000.sgm"),
}


@pytest.mark.parametrize("name", FIRST)
def test_missing_collections(places: Path, name: str) -> None:
    folder, file = FIRST[name]
    with pytest.raises(MissingData) as caught:
        data.load(name)
    cache = places.parent / "cache" / "dgm" / folder
    assert str(caught.value) == (
        f"{name}: {file} is not in {places / folder} or {cache}; `dgm data fetch {name}` gets it"
    )


@pytest.mark.parametrize("name", FIRST)
def test_altered_collections(put: Callable[..., object], name: str) -> None:
    put(name, *[b"other"] * len(data.files_of(name)))
    with pytest.raises(BadInput, match=rf"/{FIRST[name][1]}: is not {name}'s "):
        data.load(name)


def test_the_command_line_covers_collections(
    put: Callable[..., object], here: Callable[..., str]
) -> None:
    for command in ("list", "fetch", "verify"):
        assert "data: no mnsit; did you mean mnist?" in here("data", command, "mnsit", code=2)
    assert here("data", "list", "digits") == "digits: needs no files\n"
    listed = here("data", "list")
    assert f"{data.missing('newsgroups')}\n" in listed
    assert "synthetic_documents: needs no files" in listed
    verified = here("data", "verify")
    for name in ("newsgroups", "newsgroups_unstripped", "newsgroups_bow", "reuters"):
        assert f"{name}: not here" in verified
    assert (
        "synthetic_documents: whole: 800 training and 400 test documents, of which 0 and 0 have "
        "none of the 200 words; 16 topics"
    ) in verified
    put("reuters", *[b"other"] * 22)
    assert "is not reuters's" in here("data", "verify", "reuters", code=2)
