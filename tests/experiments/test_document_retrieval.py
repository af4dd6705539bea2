"""The experiment that ranks documents, against loops over all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection
from pydantic import TypeAdapter, ValidationError
from scipy.sparse import csr_array

from dgm import data
from dgm.errors import BadInput
from dgm.experiments.document_retrieval import report
from dgm.experiments.document_retrieval import trial as document_retrieval
from dgm.experiments.document_retrieval.settings import CUTOFFS, Settings
from dgm.experiments.document_retrieval.trial import groups, score
from dgm.report.summary import Metric
from dgm.report.tables import Results
from dgm.trial.loop import Trial


def settings_of(**values: object) -> Any:
    return TypeAdapter(Settings).validate_python({"method": "autoencoder"} | values)


def a_trial(folder: Path, name: str = "synthetic_documents") -> Trial:
    return Trial("t", data.load(name), 0, folder)


def test_precision_and_overlap_of_codes(tmp_path: Path) -> None:
    """Oracle: a loop over queries, of documents with several topics and one without a word."""
    generator = np.random.RandomState(0)
    codes = generator.rand(20, 3)
    codes[4] = 0
    topics = generator.rand(20, 4) < 0.4
    topics[~topics.any(1), 0] = True
    trial = a_trial(tmp_path)
    score(trial, codes, torch.from_numpy(topics), cosine=True)
    found = trial.tables()["precision"].set_index(["measure", "retrieved"])["value"]
    assert list(found.index.get_level_values(1).unique()) == [1, 3, 7, 15]
    for k in (1, 3, 7, 15):
        shares, overlaps = [], []
        for i in range(20):
            others = [j for j in range(20) if j != i]
            length = [max(np.linalg.norm(codes[j]), 1e-30) for j in range(20)]
            ranked = sorted(others, key=lambda j: -codes[i] @ codes[j] / length[i] / length[j])
            chosen = ranked[:k] if i != 4 else others  # to which all are equal
            both = [(topics[i] & topics[j]).sum() for j in chosen]
            either = [(topics[i] | topics[j]).sum() for j in chosen]
            shares.append(np.mean(np.array(both) > 0))
            overlaps.append(np.mean(np.array(both) / np.array(either)))
        assert found["precision", k] == pytest.approx(np.mean(shares))
        assert found["jaccard", k] == pytest.approx(np.mean(overlaps))

    other = a_trial(tmp_path)
    score(other, csr_array(codes), torch.from_numpy(topics), cosine=True)
    sparse = other.tables()["precision"].set_index(["measure", "retrieved"])["value"]
    np.testing.assert_allclose(sparse, found)


def run(folder: Path, **settings: object) -> dict[int, float]:
    """Precision by the number retrieved."""
    few = {"layers": [20], "greedy_epochs": 1, "tuning_epochs": 1, "tuning_batch": 50}
    few |= {"optimiser": "adam"}
    learns = settings.get("method", "autoencoder") == "autoencoder"
    chosen = settings_of(**{**(few if learns else {}), **settings})
    table = document_retrieval.run_trial(chosen, a_trial(folder)).tables["precision"]
    assert set(table["measure"]) == {"precision"}  # one topic each: the overlap is no other number
    return dict(zip(table["retrieved"], table["value"], strict=True))


def test_nothing_is_above_the_best_ranking(tmp_path: Path) -> None:
    by_method = {
        method: run(tmp_path / method, method=method, code=code)
        for method, code in (("best", 0), ("lsa", 10), ("tfidf", 0), ("autoencoder", 5))
    }
    for method in ("lsa", "tfidf", "autoencoder"):
        for k in (1, 3, 7, 15, 31, 63, 127):
            assert by_method[method][k] < by_method["best"][k]
        assert by_method[method][255] > 1 / 16  # chance


def test_the_perfect_ranking_is_short_of_documents_only(tmp_path: Path) -> None:
    found = run(tmp_path / "a", method="perfect", code=0)
    same = data.load("synthetic_documents").test.topics.sum(0)  # one topic each
    for k, value in found.items():
        most = np.minimum(same - 1, k) / k
        assert value == pytest.approx((same * most).sum() / same.sum())
    assert found[255] < 1


def test_words_as_scikit_learn_weighs_them() -> None:
    documents = data.load("synthetic_documents")
    counts = documents.train.counts, documents.test.counts
    logs = [np.log1p(of.toarray()) for of in counts]
    for found, log in zip(document_retrieval.weighted("log", *counts), logs, strict=True):
        np.testing.assert_allclose(found.toarray(), log)
    in_how_many = (logs[0] > 0).sum(0)
    idf = np.log((1 + len(logs[0])) / (1 + in_how_many)) + 1
    for found, log in zip(document_retrieval.weighted("log_idf", *counts), logs, strict=True):
        np.testing.assert_allclose(found.toarray(), log * idf)
    assert document_retrieval.weighted("counts", *counts)[1] is counts[1]


def test_where_the_autoencoder_is_above(tmp_path: Path) -> None:
    cutoffs = [1, 3, 7, 15, 31]
    rows = {
        ("autoencoder", 10, 0): [0.1, 0.5, 0.5, 0.5, 0.2],
        ("autoencoder", 10, 1): [0.3, 0.5, 0.5, 0.5, 0.5],
        ("lsa", 10, 0): [0.2, 0.4, 0.4, 0.4, 0.4],
        ("lsa", 50, 0): [0.9, 0.9, 0.9, 0.4, 0.4],
        ("lsa_idf", 10, 0): [0.0, 0.6, 0.6, 0.4, 0.6],
    }
    table = pd.DataFrame(
        [
            {"data": "reuters", "row": row, "code": code, "seed": seed, "measure": "precision"}
            | {"retrieved": k, "value": value}
            for (row, code, seed), values in rows.items()
            for k, value in zip(cutoffs, values, strict=True)
        ]
    )
    metrics = list(report.summarise(Results({"precision": table})))
    above = {(m.metric, m.seed): m.value for m in metrics if m.metric.startswith("above")}
    assert above == {
        ("above_lsa10_from1/reuters", 0): pytest.approx(3 / 5),
        ("above_lsa10_from1/reuters", 1): 1.0,
        ("above_lsa50_from3/reuters", 0): pytest.approx(1 / 4),
        ("above_lsa50_from3/reuters", 1): pytest.approx(1 / 2),
        ("above_lsa50_from15/reuters", 0): pytest.approx(1 / 2),
        ("above_lsa50_from15/reuters", 1): 1.0,
        ("above_lsa_idf10_from1/reuters", 0): pytest.approx(2 / 5),
        ("above_lsa_idf10_from1/reuters", 1): pytest.approx(2 / 5),
    }
    assert Metric("precision/reuters/lsa10/at15", 0, 0.4) in metrics


def test_validation_documents_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    represent = document_retrieval.represent

    def note(*given: object) -> object:
        seen.append([len(bags) for bags in given[3:]])  # type: ignore[arg-type]
        return represent(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(document_retrieval, "represent", note)
    run(tmp_path / "a", method="tfidf", code=0)
    run(tmp_path / "b", method="tfidf", code=0, judged="validation")
    assert seen == [[800, 400], [640, 160]]


def test_groups_of_topics() -> None:
    topics = ("a.x", "a.y", "b", "c", "d", "e", "f", "g")
    of = np.eye(8, dtype=bool)[[0, 1, 1, 2, 2, 3, 4, 5, 6, 7]]
    number, names = groups(topics, of)
    assert names.tolist() == ["a", "b", "c", "d", "e", "f"]
    assert number.tolist() == [1, 1, 1, 2, 2, 3, 4, 5, 6, 0]


def test_a_code_has_a_number_at_least() -> None:
    for method in ("autoencoder", "lsa"):
        with pytest.raises(ValidationError, match="greater than 0"):
            settings_of(method=method, code=0)


def test_the_best_ranking_of_real_documents_is_not_known(tmp_path: Path) -> None:
    settings = settings_of(method="best", code=0)
    trial = a_trial(tmp_path)
    object.__setattr__(trial.data, "name", "reuters")
    try:
        with pytest.raises(BadInput, match="nobody knows its best ranking"):
            document_retrieval.run_trial(settings, trial)
    finally:
        object.__setattr__(trial.data, "name", "synthetic_documents")


def test_parts_of_generated_codes_add_up(tmp_path: Path) -> None:
    """The hits of three parts are those of one, and the precision of isotropic codes is chance."""

    def hits(parts: int, name: str) -> pd.DataFrame:
        tables = []
        for part in range(parts):
            settings = settings_of(method="codes", documents=5000, parts=parts, part=part)
            folder = tmp_path / f"{name}{parts}{part}"
            found = document_retrieval.run_trial(settings, a_trial(folder, name)).tables
            cell = {"data": name, "row": "codes", "code": 10, "part": part, "seed": 0}
            tables.append(pd.DataFrame([cell | row for row in found["hits"].to_dict("records")]))
        return pd.concat(tables)

    results = Results({"hits": hits(1, "isotropic_codes")})
    whole = report.precision_of(results)
    parts = report.precision_of(Results({"hits": hits(3, "isotropic_codes")}))
    pd.testing.assert_frame_equal(parts, whole)
    assert len(whole) == len(CUTOFFS)
    classes = data.load("isotropic_codes").classes[:5000]
    counts = np.bincount(classes)
    chance = (counts * (counts - 1)).sum() / (5000 * 4999)
    np.testing.assert_allclose(whole["value"], chance, atol=4 * (chance / 5000) ** 0.5)
    clustered = report.precision_of(Results({"hits": hits(1, "clustered_codes")}))
    assert clustered["value"].iloc[0] > 3 * chance
    names = {metric for metric, *_ in report.summarise(results)}
    assert names == {f"precision/isotropic_codes/codes10/at{k}" for k in CUTOFFS}


def test_codes_and_documents_are_not_taken_for_each_other(tmp_path: Path) -> None:
    def complaint(name: str, **settings: object) -> str:
        chosen = settings_of(**settings)
        with pytest.raises(BadInput) as caught:
            document_retrieval.run_trial(chosen, a_trial(tmp_path, name))
        return str(caught.value)

    assert complaint("clustered_codes", method="lsa") == "clustered_codes: not for method lsa"
    said = complaint("synthetic_documents", method="codes")
    assert said == "synthetic_documents: not for method codes"
    said = complaint("clustered_codes", method="codes", code=5)
    assert said == "clustered_codes: codes are of 10 numbers, not 5"
    said = complaint("clustered_codes", method="codes", documents=400_001)
    assert said == "documents 400001: clustered_codes has 400000"
    said = complaint("clustered_codes", method="codes", documents=5000, parts=7)
    assert said == "parts 7: queries come in 6 clusters"
    said = complaint("synthetic_documents", method="lsa", code=100_000)
    assert said == "code 100000: 800 documents of 200 words give 199 singular vectors"
    with pytest.raises(ValueError, match="part 2: the 2 parts are counted from 0"):
        settings_of(method="codes", parts=2, part=2)


@pytest.mark.parametrize("spread", [1e-2, 1e-4])
def test_nearly_parallel_codes_keep_their_ranks(tmp_path: Path, spread: float) -> None:
    """Codes in single precision, as a net gives them. Oracle: cosines in extended precision."""
    generator = np.random.RandomState(0)
    codes = (1 + spread * generator.randn(300, 10)).astype(np.float32)
    topics = np.eye(4, dtype=bool)[generator.randint(4, size=300)]
    trial = a_trial(tmp_path)
    score(trial, codes, torch.from_numpy(topics), cosine=True)
    found = trial.tables()["precision"].set_index("retrieved")["value"]

    x = codes.astype(np.longdouble)
    x /= np.sqrt((x * x).sum(1, keepdims=True))
    cosines = (x[:, None] * x).sum(2)
    np.fill_diagonal(cosines, -np.inf)
    ranked = np.argsort(-cosines, 1)
    same = np.take_along_axis(topics @ topics.T, ranked, 1)
    for k, value in found.items():
        assert value == pytest.approx(same[:, :k].mean(), abs=1e-9)


def test_the_curves_show_all_of_the_ceiling_and_tell_where_no_net_was_trained() -> None:
    rows = [
        {"data": data, "row": row, "code": code, "seed": seed, "measure": "precision"}
        | {"retrieved": k, "value": value / k}
        for data, row, code, seed, value in (
            ("reuters", "autoencoder", 10, 0, 0.8),
            ("reuters", "autoencoder", 10, 1, 0.9),
            ("reuters", "perfect", 0, 0, 1.0),
            ("newsgroups", "lsa", 10, 0, 0.3),
        )
        for k in (1, 3)
    ]
    figure = report.curves_figure(pd.DataFrame(rows))
    paper, reuters, newsgroups = figure.axes
    lines = {str(line.get_label()): line for line in reuters.lines}
    ours = lines["autoencoder, 10 numbers, mean and range of 2 seeds"]
    np.testing.assert_allclose(np.asarray(ours.get_ydata()), [0.85, 0.85 / 3])
    (bars,) = (of for of in reuters.collections if isinstance(of, LineCollection))
    np.testing.assert_allclose(bars.get_segments()[0], [[0, 0.8], [0, 0.9]])
    assert ours.get_zorder() > lines["perfect ranking"].get_zorder()
    assert {axes.get_ylim() for axes in figure.axes} == {(0, 1.03)}
    assert "(no autoencoder was trained)" in newsgroups.get_title()
    assert "autoencoder" not in reuters.get_title()
    drawn = [np.asarray(line.get_ydata()).tolist() for line in paper.lines]
    assert drawn == list(report.PAPER.values())
    assert paper.get_title() == "RCV1-v2, as the paper reported"
    assert len({line.get_marker() for axes in figure.axes for line in axes.lines}) == 4
