import torch

from dgm.inference.adagrad import Adagrad


def test_follows_torch_adagrad() -> None:
    """Oracle: torch.optim.Adagrad(maximize=True), not fused, on the same gradients."""
    start = torch.randn(50, generator=torch.Generator().manual_seed(0))
    ours = start.clone()
    peer = start.clone().requires_grad_()
    mine = Adagrad(ours, rate=0.1, decay=0.03)
    theirs = torch.optim.Adagrad([peer], lr=0.1, weight_decay=0.03, maximize=True, fused=False)
    for step in range(20):
        gradient = torch.sin(ours * (step + 1))
        peer.grad = gradient.clone()
        mine.ascend(gradient)
        theirs.step()
    torch.testing.assert_close(ours, peer.detach())
