"""Chains of a deep belief net's top, against its distribution by enumeration."""

import torch

from dgm.inference.top_chains import TopChains
from dgm.learning.contrastive_divergence import gibbs
from dgm.models.dbn import DBN
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
