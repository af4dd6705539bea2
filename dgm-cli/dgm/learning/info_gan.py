"""InfoGAN's game: the generator also raises what its images tell of their code.

    I(c; G(z, c)) >= L_I = E[log Q(c|x)] + H(c)              (Chen et al. 2016, Lemma 5.1)
    min over generator and Q, max over D of  V(D, G) - coefficient L_I

The generator minimises -log D. As in the authors' code, as we recall it, Q and the layers that it
shares with D learn in D's step, from the same generated images.
"""

import math

import torch
from torch import Tensor

from dgm.learning.adversarial import descend, log_d, minus_value
from dgm.models.info_gan import InfoGAN, Latent, Read
from dgm.state import State

BETAS = (0.5, 0.999)  # of Adam
LOG_2PI = math.log(2 * math.pi)


def information(read: Read, z: Latent) -> Tensor:
    """L_I of each image by code, (n, 1 + continuous), nats: that of c, then that of each of u.

    H(c) = log(codes), and a u from U(-1, 1) has log 2.
    """
    of_c = read.log_p.gather(1, z.code[:, None]) + math.log(read.log_p.shape[1])
    of_u = -0.5 * ((z.u - read.mean).square() + LOG_2PI) + math.log(2)
    return torch.cat([of_c, of_u], 1)


class InfoGame(State):
    """Both players of an InfoGAN, each with its Adam. Saves nets, statistics and optimisers."""

    saved = ("net", "of_generator", "of_critic")

    def __init__(
        self, net: InfoGAN, coefficient: float, generator_rate: float, critic_rate: float
    ) -> None:
        self.net, self.coefficient = net, coefficient
        self.of_generator = torch.optim.Adam(
            net.generator.parameters(), generator_rate, BETAS, fused=True
        )
        self.of_critic = torch.optim.Adam(net.of_critic(), critic_rate, BETAS, fused=True)

    def update(self, real: Tensor, z: Latent) -> Tensor:
        """One step of D and Q, then one of the generator with the same images.

        Returns L_I of c before it, a scalar.
        """
        with torch.enable_grad():
            fake = self.net.generate(z)
            of_real, _ = self.net.judge(real)
            of_fake, read = self.net.judge(fake.detach())
            told = information(read, z).mean(0)
            descend(self.of_critic, minus_value(of_real, of_fake) - self.coefficient * told.sum())
            of_fake, read = self.net.judge(fake)
            loss = log_d(of_fake) - self.coefficient * information(read, z).mean(0).sum()
            descend(self.of_generator, loss)
        return told[0].detach()
