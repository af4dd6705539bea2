"""Documents drawn from known topics, so that the best possible retrieval can be computed.

A topic is a distribution over 200 words, beta_k ~ Dirichlet(1, ..., 1). A document takes one topic,
each as likely as another, and a Poisson number of words from it. With p = exp(log_posterior), the
probability that documents i and j are of one topic is the sum over k of p_ik p_jk, and ranking by
it is the best there is on average (Robertson 1977, the probability ranking principle).
"""

from typing import TYPE_CHECKING

import numpy as np

from dgm.data.bags import Bags, Documents

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TITLE = "Synthetic documents"
REVISION = 1
TOPICS, WORDS = 16, 200
TRAIN, TEST = 800, 400  # documents
LENGTH = 20  # words in a document, on average: few enough that some are taken for another topic's
SEEDS = {"topics": 0, "train": 1, "test": 2}


def _random(what: str) -> np.random.RandomState:
    """Not default_rng, whose draws may change with numpy's versions."""
    return np.random.RandomState(SEEDS[what])


def word_probabilities() -> np.ndarray:
    """beta: of each topic, (topics, words); rows sum to 1."""
    return _random("topics").dirichlet(np.ones(WORDS), TOPICS)


def log_posterior(counts: "csr_array") -> np.ndarray:
    """log p(topic | document), (documents, topics), in nats, given counts (documents, words).

    All topics are as likely and their documents as long, so that the words alone decide.
    """
    from scipy.special import log_softmax

    return log_softmax(counts @ np.log(word_probabilities()).T, axis=1)


def load() -> Documents:
    return Documents(
        "synthetic_documents",
        _draw("train", TRAIN),
        _draw("test", TEST),
        tuple(f"topic {k}" for k in range(TOPICS)),
        tuple(f"word {i}" for i in range(WORDS)),
    )


def _draw(split: str, n: int) -> Bags:
    from scipy.sparse import csr_array

    random, probabilities = _random(split), word_probabilities()
    topics, lengths = random.randint(TOPICS, size=n), random.poisson(LENGTH, size=n)
    counts = [
        random.multinomial(*each) for each in zip(lengths, probabilities[topics], strict=True)
    ]
    return Bags(csr_array(np.array(counts)), topics[:, None] == np.arange(TOPICS))
