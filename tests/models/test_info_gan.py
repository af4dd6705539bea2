"""InfoGAN's nets: what the generator gets, and what Q reads."""

import pytest
import torch

from dgm.models.info_gan import InfoGAN, Latent


@pytest.fixture
def net() -> InfoGAN:
    torch.manual_seed(0)
    return InfoGAN((8, 8), noise=5, codes=3, continuous=2, filters=4, hidden=6)


@torch.no_grad()
def test_draws_are_uniform(net: InfoGAN) -> None:
    """Oracle: mean 0 and variance 1/3 of U(-1, 1), and equal shares of the codes."""
    z = net.draw(30_000, torch.Generator().manual_seed(1))
    assert z.noise.shape == (30_000, 5) and z.u.shape == (30_000, 2)
    for part in (z.noise, z.u):
        assert part.abs().max() <= 1
        assert part.mean().item() == pytest.approx(0, abs=0.01)
        assert part.var().item() == pytest.approx(1 / 3, abs=0.01)
    assert (torch.bincount(z.code).double() / 30_000).tolist() == pytest.approx(
        [1 / 3] * 3, abs=0.01
    )


@torch.no_grad()
def test_every_part_reaches_the_image_and_images_are_pixels(net: InfoGAN) -> None:
    net.eval()
    z = net.draw(4, torch.Generator().manual_seed(1))
    x = net.generate(z)
    assert x.shape == (4, 64)
    assert x.min() >= 0 and x.max() <= 1
    changed = [
        Latent(-z.noise, z.code, z.u),
        Latent(z.noise, (z.code + 1) % 3, z.u),
        Latent(z.noise, z.code, -z.u),
    ]
    for other in changed:
        assert (net.generate(other) != x).any()


@torch.no_grad()
def test_q_reads_a_distribution_and_blocks_change_nothing(net: InfoGAN) -> None:
    net.eval()
    x = torch.rand(7, 64)
    whole, parts = net.judge(x)[1], net.read(x, block=3)
    torch.testing.assert_close(whole.log_p.exp().sum(1), torch.ones(7))
    assert whole.mean.shape == (7, 2)
    torch.testing.assert_close(parts.log_p, whole.log_p)
    torch.testing.assert_close(parts.mean, whole.mean)


def test_a_batch_of_one_has_no_statistics(net: InfoGAN) -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net.judge(torch.rand(1, 64))


def test_both_players_have_all_parameters(net: InfoGAN) -> None:
    of_generator = list(net.generator.parameters())
    both = {id(p) for p in [*of_generator, *net.of_critic()]}
    assert both == {id(p) for p in net.parameters()}
    assert len(both) == len(of_generator) + len(net.of_critic())
