"""Deep belief nets: what a pass up or down is, and where the parameters are."""

import torch

from dgm.models.dbn import DBN
from dgm.models.rbm import RBM, LabelRBM
from tests.small import cases, small_dbn


def test_a_stack_of_rbms_goes_up_as_they_do() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second, top = RBM(6, 5), RBM(5, 4), LabelRBM(4, 3, 7)
    for rbm in (first, second, top):
        rbm.flat.normal_(generator=generator)
    dbn = DBN(6, [5, 4], 7, 3)
    dbn.stack([first, second, top])
    x, _ = cases(8, generator)
    h_1 = first.hidden_mean(x)
    h_2 = second.hidden_mean(h_1)
    for ours, theirs in zip(dbn.up(x), [h_1, h_2], strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(dbn.label_logits(x), top.label_logits(h_2))
    assert torch.equal(dbn.classify(x, block=3), top.label_logits(h_2).argmax(1))
    twin = torch.Generator().manual_seed(1)
    ends = dbn.down(h_2.round(), torch.Generator().manual_seed(1))
    below = second.sample_visible(h_2.round(), twin)
    assert torch.equal(ends[0], below)
    torch.testing.assert_close(ends[1], first.visible_mean(below))


def test_parameters_lie_in_one_vector() -> None:
    dbn, _ = small_dbn()
    dbn.flat.fill_(2.0)
    parts = [*dbn.recognition, *dbn.generative, dbn.top.parameters]
    assert all((part.flat == 2).all() for part in parts)
    assert sum(len(part.flat) for part in parts) == len(dbn.flat) == 35 + 24 + 36 + 25 + 49 + 7 + 7
