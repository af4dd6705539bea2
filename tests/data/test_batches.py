"""Binary images, minibatches and moved images."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dgm.data.batches import Minibatches
from dgm.data.binarise import Binarization, binarise, static_binarise
from dgm.data.shifted import shifted
from dgm.errors import BadInput


def test_static_binarisation_is_one_draw_by_name() -> None:
    x = torch.rand(300, 17, generator=torch.Generator().manual_seed(0))
    drawn = static_binarise(x, "toy/test")
    torch.manual_seed(1)  # has no say
    assert torch.equal(static_binarise(x, "toy/test"), drawn)
    for n in (1, 2, 100, 299):
        assert torch.equal(static_binarise(x[:n], "toy/test"), drawn[:n])
    assert not torch.equal(static_binarise(x, "toy/train"), drawn)


def test_static_binarisation_has_the_pixels_as_means() -> None:
    p = torch.linspace(0, 1, 21)
    drawn = static_binarise(p.expand(40_000, 21), "toy/test")
    assert set(drawn.flatten().tolist()) == {0, 1}
    z = (drawn.mean(0) - p)[1:-1] / (p * (1 - p) / 40_000).sqrt()[1:-1]
    assert z.abs().max() < 3.5
    assert drawn[:, 0].sum() == 0
    assert drawn[:, -1].sum() == 40_000


def batches(dynamic: bool = False, n: int = 11, batch: int = 3) -> Minibatches:
    x = torch.linspace(0, 1, n)[:, None] * torch.tensor([1.0, 0.5])
    return Minibatches(x, batch, torch.Generator().manual_seed(5), dynamic)


def epoch(minibatches: Minibatches) -> list[int]:
    """The numbers of the rows of three minibatches of three."""
    drawn = []
    for _ in range(3):
        x, indices = minibatches.draw()
        assert torch.equal(x, minibatches.x[indices])
        assert x.shape == (3, 2)
        drawn += indices.tolist()
    return drawn


@pytest.mark.parametrize("how", ["none", "static", "dynamic"])
def test_binarise(how: Binarization) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(9, 5, generator=generator), torch.rand(4, 5, generator=generator)
    train, evaluated = binarise("toy", how, x, {"train": x[:3], "test": y})
    assert torch.equal(train, static_binarise(x, "toy/train") if how == "static" else x)
    expected = {"train": x[:3], "test": y}
    if how != "none":
        expected = {s: static_binarise(part, f"toy/{s}") for s, part in expected.items()}
    assert evaluated.keys() == expected.keys()
    for split, part in expected.items():
        assert torch.equal(evaluated[split], part)


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("split", ["train", "test"])
def test_pixels_that_are_no_probabilities(bad: float, split: str) -> None:
    parts = {"train": torch.rand(9, 5), "test": torch.rand(4, 5)}
    parts[split][3, 2] = bad
    complaint = rf"^toy/{split}: pixels from .* not in \[0, 1\]$"
    with pytest.raises(BadInput, match=complaint):
        binarise("toy", "none", parts["train"], {"test": parts["test"]})


def test_an_epoch_visits_each_row_at_most_once() -> None:
    eleven, nine = batches(), batches(n=9)
    epochs = [epoch(eleven) for _ in range(30)]
    assert all(len(set(drawn)) == 9 for drawn in epochs)
    assert len({tuple(drawn) for drawn in epochs}) == 30  # shuffled anew
    assert set().union(*epochs) == set(range(11))  # none is left out for good
    for _ in range(5):
        assert sorted(epoch(nine)) == list(range(9))


def test_a_minibatch_may_be_all_there_is_and_not_more() -> None:
    whole = batches(batch=11)
    assert sorted(whole.draw()[1].tolist()) == sorted(whole.draw()[1].tolist()) == list(range(11))
    with pytest.raises(BadInput, match="batch 12: there are 11 images"):
        batches(batch=12)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("before", [0, 1, 2, 3, 7])
def test_minibatches_go_on_where_they_were(dynamic: bool, before: int) -> None:
    def draws(minibatches: Minibatches) -> list[tuple[Tensor, Tensor]]:
        return [(x.clone(), i.clone()) for x, i in (minibatches.draw() for _ in range(10))]

    first = batches(dynamic)
    for _ in range(before):
        first.draw()
    state = {name: value.clone() for name, value in first.state_dict().items()}
    held, generator = first.state_dict(), first.generator.get_state()
    expected = draws(first)
    assert all(torch.equal(held[name], state[name]) for name in state)  # no view of what moves on

    second = batches(dynamic)
    second.draw()
    second.load_state_dict(state)
    second.generator.set_state(generator)
    for ours, theirs in zip(draws(second), expected, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


def test_dynamic_minibatches_are_drawn_anew_from_the_pixels() -> None:
    minibatches = batches(dynamic=True, n=6, batch=6)
    grey, n = minibatches.x.clone(), 4000
    total = torch.zeros(6, 2)
    for _ in range(n):
        x, indices = minibatches.draw()
        assert ((x == 0) | (x == 1)).all()
        total.index_add_(0, indices, x)
    assert torch.equal(minibatches.x, grey)  # the pixels themselves stay
    assert total[0].sum() == 0
    assert total[5, 0] == n
    z = (total / n - grey) / (grey * (1 - grey) / n).sqrt()
    assert z[grey.remainder(1) != 0].abs().max() < 3.5


def test_images_are_moved_and_lose_what_goes_over_the_edge() -> None:
    """Oracle: slices of a padded image. Every one of the nine moves is as frequent."""
    image = torch.arange(1.0, 13.0)
    n = 9000
    moved = shifted(image.repeat(n, 1), (3, 4), 1, torch.Generator().manual_seed(0))
    padded = np.pad(image.view(3, 4).numpy(), 1)
    seen = 0
    for up, aside in np.ndindex(3, 3):
        expected = torch.from_numpy(padded[up : up + 3, aside : aside + 4].copy()).flatten()
        count = int((moved == expected).all(1).sum())
        assert count == pytest.approx(1000, abs=4 * 1000**0.5)
        seen += count
    assert seen == n
    assert torch.equal(
        shifted(image[None], (3, 4), 0, torch.Generator().manual_seed(0)), image[None]
    )


def test_balanced_minibatches_have_every_class_alike() -> None:
    classes = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    x = torch.arange(100.0)[:, None]
    batches = Minibatches(x, 30, torch.Generator().manual_seed(0), classes=classes)
    assert batches.per_epoch == 3
    seen: list[int] = []
    for _ in range(batches.per_epoch):
        rows, indices = batches.draw()
        assert torch.equal(rows[:, 0], indices.float())
        assert torch.bincount(classes[indices]).tolist() == [10, 10, 10]
        seen += indices.tolist()
    of_class = [[i for i in seen if classes[i] == c] for c in range(3)]
    assert len(set(of_class[0])) == 30  # of a frequent class no image twice
    assert set(of_class[2]) == set(range(90, 100))  # of a rare one all, each three times
    assert {of_class[2].count(i) for i in range(90, 100)} == {3}
    first = list(seen)
    seen = [int(i) for _ in range(3) for i in batches.draw()[1]]
    assert seen != first
