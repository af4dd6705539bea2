"""InfoGAN (Chen et al. 2016): a GAN whose generator also gets a code, and a net that reads it.

z = (noise, c, u): noise from U(-1, 1), a code c of equally likely values as a one-hot vector, and
continuous codes u from U(-1, 1). The discriminator D and Q(c, u|x) share all layers but the last:

    Q(c|x) = softmax(...),   Q(u|x) = N(u; mean(x), I)

The standard deviation of 1 is that of the authors' code, as we recall it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from dgm.models.image_gan import LEAK, ConvBody, ConvGenerator, start


class Read(NamedTuple):
    """Q(c, u|x): log-probabilities of the code (n, codes), means of u (n, continuous)."""

    log_p: Tensor
    mean: Tensor


class Latent(NamedTuple):
    """What the generator gets: noise (n, noise), the code's numbers (n,), u (n, continuous)."""

    noise: Tensor
    code: Tensor
    u: Tensor


class InfoGAN(nn.Module):
    """Generator, discriminator and Q; images are rows of pixels in [0, 1]."""

    def __init__(
        self,
        shape: tuple[int, int],
        noise: int,
        codes: int,
        continuous: int,
        filters: int,
        hidden: int,
    ) -> None:
        """`hidden` units of the layer that Q has alone."""
        super().__init__()
        self.config = {"shape": list(shape), "noise": noise, "codes": codes}
        self.config |= {"continuous": continuous, "filters": filters, "hidden": hidden}
        self.noise, self.codes, self.continuous = noise, codes, continuous
        self.generator = ConvGenerator(noise + codes + continuous, shape, filters=filters)
        self.body = ConvBody(shape, filters=filters)
        self.d = nn.Linear(self.body.inner, 1)
        self.q = nn.Sequential(
            nn.Linear(self.body.inner, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(LEAK),
            nn.Linear(hidden, codes + continuous),
        )
        start(self)

    def of_critic(self) -> list[nn.Parameter]:
        """The parameters of D and Q."""
        return [p for net in (self.body, self.d, self.q) for p in net.parameters()]

    def judge(self, x: Tensor) -> tuple[Tensor, Read]:
        """The logit of D, (n,), and what Q reads in images x (n, pixels)."""
        h = self.body(x)
        out = self.q(h)
        read = Read(torch.log_softmax(out[:, : self.codes], 1), out[:, self.codes :])
        return self.d(h)[:, 0], read

    def read(self, x: Tensor, block: int = 1000) -> Read:
        """Q(c, u|x) of many images."""
        parts = [self.judge(part)[1] for part in x.split(block)]
        log_p, mean = zip(*parts, strict=True)
        return Read(torch.cat(log_p), torch.cat(mean))

    def draw(self, n: int, generator: torch.Generator) -> Latent:
        """n independent draws of all that the generator gets."""

        def uniform(width: int) -> Tensor:
            drawn = torch.rand(n, width, generator=generator, device=generator.device)
            return 2 * drawn - 1

        kinds = {"generator": generator, "device": generator.device}
        code = torch.randint(self.codes, (n,), **kinds)  # type: ignore[call-overload]
        return Latent(uniform(self.noise), code, uniform(self.continuous))

    def generate(self, z: Latent) -> Tensor:
        """Images, (n, pixels)."""
        whole = [z.noise, one_hot(z.code, self.codes).to(z.u), z.u]
        x: Tensor = self.generator(torch.cat(whole, 1))
        return x
