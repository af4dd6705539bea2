"""Principal components against the singular value decomposition."""

import numpy as np
import pytest

from dgm import data
from dgm.errors import BadInput
from dgm.models.pca import PCA


def test_pca_is_the_singular_value_decomposition() -> None:
    """Oracle: numpy's SVD of the centred images."""
    digits = data.load("digits")
    model = PCA(64, 7)
    model.fit(digits.train)
    x = digits.train.double().numpy()
    _, singular, right = np.linalg.svd(x - x.mean(0), full_matrices=False)
    turned = np.abs((model.components.numpy() * right[:7]).sum(1))
    np.testing.assert_allclose(turned, 1, atol=1e-4)
    left_out = (singular[7:] ** 2).sum() / len(x)
    error = (digits.train - model.reconstruct(digits.train)).square().sum(1).mean().item()
    assert error == pytest.approx(left_out, rel=1e-4)
    with pytest.raises(BadInput, match="65 components of 64 pixels"):
        PCA(64, 65)
