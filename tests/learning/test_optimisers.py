"""The optimisers against torch's own, not fused, on the same gradients."""

import pytest
import torch

from dgm.learning.adagrad import Adagrad
from dgm.learning.adam import Adam

PEERS = {Adagrad: torch.optim.Adagrad, Adam: torch.optim.Adam}


@pytest.mark.parametrize("kind", PEERS)
def test_follows_torch(kind: type[Adagrad | Adam]) -> None:
    start = torch.randn(50, generator=torch.Generator().manual_seed(0))
    ours = start.clone()
    peer = start.clone().requires_grad_()
    mine = kind(ours, rate=0.1, decay=0.03)
    theirs = PEERS[kind]([peer], lr=0.1, weight_decay=0.03, maximize=True, fused=False)
    for step in range(20):
        if step == 7:  # put down and taken up again
            state = {name: tensor.clone() for name, tensor in mine.state_dict().items()}
            mine = kind(ours, rate=0.1, decay=0.03)
            mine.load_state_dict(state)
        gradient = torch.sin(ours * (step + 1))
        peer.grad = gradient.clone()
        mine.ascend(gradient)
        theirs.step()
    torch.testing.assert_close(ours, peer.detach())
