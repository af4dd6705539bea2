"""Documents drawn from known topics, so that the best possible retrieval can be computed.

A topic is a distribution over 200 words, beta_k ~ Dirichlet(1, ..., 1). A document has one topic,
drawn uniformly, and a Poisson number of words from it. With p = exp(log_posterior), documents i and
j are of one topic with probability sum over k of p_ik p_jk, and no ranking is better on average
than the one by this probability (Robertson 1977, the probability ranking principle).
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
LENGTH = 20  # mean number of words: few enough that some documents look like another topic's
SEEDS = {"topics": 0, "train": 1, "test": 2}


def _random(what: str) -> np.random.RandomState:
    """A generator whose draws, unlike default_rng's, do not change with numpy's version."""
    return np.random.RandomState(SEEDS[what])


def word_probabilities() -> np.ndarray:
    """beta (topics, words); each row sums to 1."""
    return _random("topics").dirichlet(np.ones(WORDS), TOPICS)


def log_posterior(counts: "csr_array") -> np.ndarray:
    """log p(topic | document), (documents, topics), in nats, given counts (documents, words).

    Topics are equally likely and their documents equally long, so the words alone decide.
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
