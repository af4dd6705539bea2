"""k-means."""

import torch
from sklearn.cluster import KMeans

from dgm.learning.kmeans import lloyd


def test_passes_are_those_of_scikit_learn() -> None:
    """Oracle: Lloyd's algorithm there, from the same centres, until nothing moves."""
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    centres = x[:6]
    for _ in range(60):
        centres = lloyd(x, centres)
    theirs = KMeans(6, init=x[:6].numpy(), n_init=1, max_iter=60, tol=0, algorithm="lloyd")
    expected = torch.from_numpy(theirs.fit(x.numpy()).cluster_centers_).to(centres)
    torch.testing.assert_close(centres, expected, rtol=1e-4, atol=1e-5)


def test_a_centre_that_no_row_is_near_stays() -> None:
    x = torch.tensor([[0.0], [2.0]])
    assert lloyd(x, torch.tensor([[1.0], [50.0]])).tolist() == [[1.0], [50.0]]
