"""Documents of known topics: they are drawn as they should be, and their posterior is exact."""

import numpy as np
from scipy.stats import multinomial

from dgm.data.documents import synthetic_documents


def test_synthetic_documents_are_drawn_from_their_topics() -> None:
    found = synthetic_documents.load()
    assert [split.counts.shape for split in (found.train, found.test)] == [(800, 200), (400, 200)]
    assert (len(found.topics), len(found.vocabulary)) == (16, 200)
    assert (found.train.empty, found.test.empty) == (0, 0)
    probabilities = synthetic_documents.word_probabilities()
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert probabilities.min() > 0
    for split in (found.train, found.test):
        assert (split.topics.sum(1) == 1).all() and split.topics.any(0).all()
        lengths = split.counts.sum(1)
        assert abs(lengths.mean() - 20) < 4 * np.sqrt(20 / len(split))
        assert 0.8 < lengths.var() / 20 < 1.2
        counts = split.topics.T @ split.counts.toarray()  # (topics, words)
        expected = counts.sum(1, keepdims=True) * probabilities
        often = expected > 5
        z = (counts - expected)[often] / np.sqrt(expected * (1 - probabilities))[often]
        assert abs(z.mean()) < 4 / np.sqrt(z.size)
        assert 0.9 < z.std() < 1.1


def test_the_posterior_is_bayes_rule_and_calibrated() -> None:
    test = synthetic_documents.load().test
    posterior = np.exp(synthetic_documents.log_posterior(test.counts))
    counts, probabilities = test.counts.toarray(), synthetic_documents.word_probabilities()
    for row, expected in zip(counts[:20], posterior, strict=False):
        joint = np.array([multinomial.pmf(row, row.sum(), p / p.sum()) for p in probabilities])
        np.testing.assert_allclose(expected, joint / joint.sum(), atol=1e-12)
    right = posterior.argmax(1) == test.topics.argmax(1)
    confidence = posterior.max(1)
    deviation = np.sqrt((confidence * (1 - confidence)).sum()) / len(test)
    assert abs(right.mean() - confidence.mean()) < 3.5 * deviation
    assert 0.95 < right.mean() < 1  # neither hopeless nor without a mistake
