"""Ten numbers from a deep autoencoder retrieve documents of a topic better than ten from LSA.

Hinton & Salakhutdinov (2006), Figure 4, where they also beat LSA's fifty. The net:
`dgm.models.autoencoder`, whose first RBM has softmax units, learned by
`dgm.protocols.fit_autoencoder`; the score of a ranking: `dgm.retrieval.ranking`.

Codes are fitted on training documents. Each test document is the query once, and the others are
ranked by the cosine of their codes to its own. Topics are not learned from. At the paper's scale
codes are generated, and the search is that of `dgm.retrieval.search`.
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from dgm.data.bags import Bags, Documents
from dgm.data.documents import synthetic_documents
from dgm.data.generated_codes import Codes
from dgm.errors import BadInput
from dgm.experiments.document_retrieval.settings import (
    CLOUDS,
    CUTOFFS,
    AutoencoderRow,
    CeilingRow,
    CodesRow,
    LSARow,
    Settings,
    TFIDFRow,
)
from dgm.models.autoencoder import Autoencoder
from dgm.protocols.fit_autoencoder import fit_autoencoder
from dgm.recipe.grid import TrialSpec
from dgm.report.tables import Artifacts
from dgm.retrieval.ranking import mean_gains
from dgm.retrieval.search import Hits, build
from dgm.trial.loop import Trial
from dgm.trial.measured import Rows

SHOWN = 6  # groups of topics with a colour of their own
QUERIES, COSINES = 500, 20_000_000  # ranked at once, at most; 2 GB or so


Collections = AutoencoderRow | LSARow | TFIDFRow | CeilingRow
MEASURED = {"precision": Rows(("measure", "retrieved"), ("value",))}


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Represent the documents, and rank them for each query."""
    documents: Documents | Codes = trial.data  # type: ignore[assignment]
    if isinstance(documents, Codes) and isinstance(settings, CodesRow):
        return retrieve(settings, trial, documents)
    if isinstance(documents, Codes) or isinstance(settings, CodesRow):
        raise BadInput(f"{documents.name}: not for method {settings.method}")
    if not isinstance(settings, AutoencoderRow):
        return measure(settings, trial, None)
    train, judged = split(settings, documents)
    seen, of_judged = weighted(settings.words, train.counts, judged.counts)
    x = dense(trial, seen)
    evaluated = {"train": x, settings.judged: dense(trial, of_judged)}
    net = fit_autoencoder(settings, trial, x, evaluated, "softmax")
    left = measure(settings, trial, net)
    return Artifacts(left.tables, left.arrays, {"autoencoder": net})


def anew(spec: TrialSpec, full: bool) -> bool:
    """Whether a trial is measured again without a trained model."""
    return not isinstance(spec.settings, AutoencoderRow | CodesRow)


def measure(
    settings: Collections, trial: Trial, model: Autoencoder | None, full: bool = True
) -> Artifacts:
    """The ranking of the judged documents, and where they lie if a code is a point."""
    documents: Documents = trial.data  # type: ignore[assignment]
    train, judged = split(settings, documents)
    codes = represent(settings, trial, model, train, judged)
    topics = torch.from_numpy(judged.topics).to(trial.device)
    score(trial, codes, topics, cosine=not isinstance(settings, CeilingRow))
    arrays = {}
    if codes.shape[1] == CLOUDS:
        arrays["cloud"] = np.asarray(codes)
        arrays["group"], arrays["groups"] = groups(documents.topics, judged.topics)
    return Artifacts(trial.tables(), arrays)


def split(settings: Collections, documents: Documents) -> tuple[Bags, Bags]:
    """The documents to learn from and those to judge by."""
    train, judged = documents.train, documents.test
    if settings.judged == "validation":
        fifth = np.arange(len(train)) % 5 == 0
        train, judged = (Bags(train.counts[of], train.topics[of]) for of in (~fifth, fifth))
    if settings.method == "best" and documents.name != "synthetic_documents":
        raise BadInput(f"{documents.name}: nobody knows its best ranking; method: best")
    return train, judged


def represent(
    settings: Collections, trial: Trial, net: Autoencoder | None, train: Bags, judged: Bags
) -> np.ndarray | csr_array:
    """Rows that rank the judged documents by their cosines; of a `CeilingRow` by their products."""
    if isinstance(settings, CeilingRow):
        if settings.method == "best":
            return np.exp(synthetic_documents.log_posterior(judged.counts))
        return judged.topics.astype(float)
    seen, of_judged = weighted(settings.words, train.counts, judged.counts)
    if isinstance(settings, TFIDFRow):
        return of_judged
    if isinstance(settings, LSARow):
        return singular_vectors(seen, of_judged, settings.code)
    assert net is not None
    codes: np.ndarray = net.encode(dense(trial, of_judged)).cpu().numpy()
    return codes


def dense(trial: Trial, counts: csr_array) -> Tensor:
    """Words of documents, (documents, words)."""
    return torch.from_numpy(counts.astype(np.float32).toarray()).to(trial.device)


def singular_vectors(seen: csr_array, of_judged: csr_array, n: int) -> np.ndarray:
    """The judged documents (rows) along the first n right singular vectors of those seen."""
    from sklearn.decomposition import TruncatedSVD

    most = min(seen.shape) - 1
    if n > most:
        documents, words = seen.shape
        raise BadInput(
            f"code {n}: {documents} documents of {words} words give {most} singular vectors"
        )
    svd = TruncatedSVD(n, algorithm="arpack", random_state=0)
    vectors: np.ndarray = svd.fit(seen).transform(of_judged)
    return vectors


def weighted(words: str, *counts: csr_array) -> list[csr_array]:
    """Word counts (documents, words) weighted as `words` says; the first give the frequencies."""
    if words == "counts":
        return list(counts)
    logs = [csr_array(of.astype(float).log1p()) for of in counts]
    if words == "log":
        return logs
    from sklearn.feature_extraction.text import TfidfTransformer

    idf = TfidfTransformer(norm=None).fit(logs[0])
    return [csr_array(idf.transform(of)) for of in logs]


def score(trial: Trial, codes: np.ndarray | csr_array, topics: Tensor, cosine: bool) -> None:
    """Record "precision" (measure, retrieved, value) of the ranking for each document as query.

    Precision at k is the share of the first k documents that share a topic with the query, mean
    over queries; where documents have several topics, "jaccard" is the overlap of their topics with
    the query's. Cosines are taken in double precision: nearly parallel codes differ by less than
    single precision can tell.
    """
    codes = codes.astype(float)
    norms = np.sqrt((codes * codes).sum(1)) if cosine else np.ones(codes.shape[0])
    n, several, topics = len(norms), bool((topics.sum(1) > 1).any()), topics.float()
    cutoffs = [k for k in CUTOFFS if k < n]
    if not cutoffs:
        raise BadInput(f"{trial.data.name}: {n} documents, and so no others to retrieve")
    sums: dict[str, Tensor] = {}
    at_once = max(1, min(QUERIES, COSINES // n))
    for first in range(0, n, at_once):
        own = np.arange(first, min(first + at_once, n))
        product = codes[own] @ codes.T
        dense = product.toarray() if isinstance(product, csr_array) else product
        lengths = np.maximum(norms[own][:, None] * norms, 1e-30)
        cosines = torch.from_numpy(np.asarray(dense / lengths)).to(topics.device)
        both = topics[own] @ topics.T
        by_measure = {"precision": (both > 0).float()}
        if several and cosine:  # the other rankings are made for precision alone
            by_measure["jaccard"] = both / (topics[own].sum(1)[:, None] + topics.sum(1) - both)
        for measure, gains in by_measure.items():
            found = mean_gains(cosines, gains, torch.from_numpy(own).to(topics.device), cutoffs)
            sums[measure] = sums.get(measure, torch.zeros(1)) + found.sum(0).cpu()
    for measure, total in sums.items():
        for k, value in zip(cutoffs, (total / n).tolist(), strict=True):
            trial.record("precision", measure=measure, retrieved=k, value=value)


def retrieve(settings: CodesRow, trial: Trial, data: Codes) -> Artifacts:
    """Record "hits" (retrieved, hits, queries) of one part's queries among all documents."""
    codes, classes = data.codes[: settings.documents], data.classes[: settings.documents]
    if settings.documents > len(codes):
        raise BadInput(f"documents {settings.documents}: {data.name} has {len(codes)}")
    if settings.code != codes.shape[1]:
        raise BadInput(f"{data.name}: codes are of {codes.shape[1]} numbers, not {settings.code}")
    index = build(torch.from_numpy(codes), seed=trial.seed)
    if settings.parts > index.clusters:
        raise BadInput(f"parts {settings.parts}: queries come in {index.clusters} clusters")
    hits = Hits(index, classes, [k for k in CUTOFFS if k < len(codes)])
    clusters = range(settings.part, index.clusters, settings.parts)
    for step in trial.steps(len(clusters), "queries", hits=hits):
        hits.add(clusters[step])
    for k, found in zip(hits.cutoffs, hits.sums.tolist(), strict=True):
        trial.record("hits", retrieved=k, hits=found, queries=int(hits.queries))
    return Artifacts(trial.tables())


def groups(topics: tuple[str, ...], of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The group of each document, 0 where it is not among the largest; and the largest ones' names.

    A topic's group is what stands before the first point of its name, and a document's group is
    that of its first topic.
    """
    heads = np.array([topic.partition(".")[0] for topic in topics])
    head = heads[of.argmax(1)]
    names, counts = np.unique(head, return_counts=True)
    shown = names[np.argsort(-counts, kind="stable")][:SHOWN]
    number = {name: i for i, name in enumerate(shown, start=1)}
    return np.array([number.get(name, 0) for name in head], np.uint8), shown
