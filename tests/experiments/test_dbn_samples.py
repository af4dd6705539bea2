"""What the net of digits is made to show: chains of its top, and the nearest digits."""

import numpy as np
import pandas as pd
import torch

from dgm.experiments.dbn_samples import report
from dgm.experiments.dbn_samples.trial import TopChains
from dgm.learning.contrastive_divergence import gibbs
from dgm.models.dbn import DBN
from dgm.models.neighbours import nearest_distance
from dgm.models.rbm import one_hot


def small_net() -> DBN:
    net = DBN(6, [5, 4], 7, 3)
    net.flat.normal_(generator=torch.Generator().manual_seed(0))
    return net


def test_a_clamped_chain_keeps_its_label_and_has_the_conditional_distribution() -> None:
    """Oracle: p(layer below|label) of the top by enumeration."""
    net = small_net()
    labels = one_hot(torch.full((20_000,), 2), 3)
    chains = TopChains(net, 20_000, torch.Generator().manual_seed(1), labels)
    for _ in range(60):
        chains.step()
        assert torch.equal(chains.v[:, -3:], labels)
    codes = (chains.v[:, :4] @ torch.tensor([8.0, 4.0, 2.0, 1.0])).long()
    found = torch.bincount(codes, minlength=16).double() / len(codes)
    below = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    energy = net.top.free_energy(torch.cat([below, one_hot(torch.full((16,), 2), 3)], 1))
    torch.testing.assert_close(found, torch.softmax(-energy, 0).double(), atol=0.02, rtol=0)


def test_a_free_chain_changes_its_label_as_gibbs_does() -> None:
    net = small_net()
    chains = TopChains(net, 50, torch.Generator().manual_seed(1))
    twin = torch.Generator()
    twin.set_state(chains.generator.get_state())
    before = chains.v.clone()
    chains.step()
    assert torch.equal(chains.v, gibbs(net.top, before, 1, twin))
    assert not torch.equal(chains.v[:, -3:], before[:, -3:])
    images = chains.images()
    assert images.shape == (50, 6) and images.min() >= 0 and images.max() <= 1


def test_distances_to_the_nearest() -> None:
    generator = torch.Generator().manual_seed(0)
    train, x = torch.rand(300, 5, generator=generator), torch.rand(130, 5, generator=generator)
    expected = torch.cdist(x, train).amin(1)
    torch.testing.assert_close(nearest_distance(train, x), expected, atol=1e-3, rtol=0)
    assert nearest_distance(train, train[:3]).max() < 1e-3


def test_unusual_digits_stand_apart_and_are_told_what_they_are() -> None:
    images = np.arange(43 * 6, dtype=np.uint8).reshape(43, 2, 3)
    about = pd.Series({"least_distance_shown": 6.7312, "mean_distance": 4.2})
    (axes,) = report.unusual_figure(images, about).axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (2 * 3, 20 * 4)  # what does not fill a line of 20 is left out
    np.testing.assert_array_equal(shown[3:5, 4:7], images[21])
    assert (shown[2::3] == 255).all() and (shown[:, 3::4] == 255).all()
    assert axes.get_title() == (
        "The 40 recognised test digits farthest from all training digits\n"
        "(distance to the nearest at least 6.73; mean of all recognised 4.20)"
    )
