"""Deep Boltzmann machines, against the definition of their energy, summed over all states."""

import pytest
import torch
from torch import Tensor

from dgm.inference.deep_boltzmann import activity, classify, expected, inputs, posterior
from dgm.models.dbm import DBM, CopiedRBM, DBMClassifier, greedy_stack
from dgm.models.rbm import RBM
from tests.small import all_states, small_dbm

SIZES = [[4, 3, 5], [3, 4, 2, 3], [3, 2, 3, 2, 2]]  # two, three and four hidden layers


def every_state(dbm: DBM) -> tuple[Tensor, ...]:
    """v, h_1, .., h_L in all combinations, one a row, double precision."""
    sizes = dbm.config["sizes"]
    return all_states(sum(sizes)).double().split(sizes, 1)


def minus_energy(dbm: DBM, layers: tuple[Tensor, ...]) -> Tensor:
    """By its definition."""
    W, b = ([each.double() for each in of] for of in (dbm.W, dbm.b))
    parts = [layer @ bias for layer, bias in zip(layers, b, strict=True)]
    pairs = zip(layers, W, layers[1:], strict=False)
    parts += [((below @ w) * above).sum(1) for below, w, above in pairs]
    return torch.stack(parts).sum(0)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_log_z_and_the_likelihood_are_sums_over_all_states(sizes: list[int]) -> None:
    dbm = small_dbm(sizes)
    layers = every_state(dbm)
    total = minus_energy(dbm, layers)
    assert dbm.log_partition() == pytest.approx(torch.logsumexp(total, 0).item(), abs=1e-5)
    v = all_states(sizes[0])[[1, 4, 7]]
    of_v = [torch.logsumexp(total[(layers[0] == row).all(1)], 0) for row in v.double()]
    torch.testing.assert_close(dbm.log_unnormalised(v), torch.stack(of_v), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_conditionals_are_those_of_the_joint(sizes: list[int]) -> None:
    dbm = small_dbm(sizes)
    layers = every_state(dbm)
    for number in range(len(sizes)):
        on, off = ([layer.clone() for layer in layers] for _ in range(2))
        on[number][:, 0], off[number][:, 0] = 1, 0
        odds = minus_energy(dbm, tuple(on)) - minus_energy(dbm, tuple(off))
        found = dbm.mean(number, tuple(layer.float() for layer in layers))[:, 0]
        torch.testing.assert_close(found, odds.sigmoid().float())


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_mean_field_is_a_fixed_point_and_its_bound_is_below_the_likelihood(
    sizes: list[int],
) -> None:
    """Oracle: E_q[-E] + H(q), summed over all states of h, and log p(v) by enumeration."""
    dbm = small_dbm(sizes)
    v = all_states(sizes[0])
    means, updates = posterior(dbm, v, 500, 1e-6)
    assert updates < 500
    for number, found in enumerate(means, start=1):
        torch.testing.assert_close(dbm.mean(number, (v, *means)), found, atol=1e-5, rtol=0)

    bound, at_start = expected(dbm, v, 500, 1e-6)
    layers = every_state(dbm)
    total = minus_energy(dbm, layers)
    for row, of_row in zip(v.double(), range(len(v)), strict=True):
        mine = (layers[0] == row).all(1)
        q = torch.ones(int(mine.sum()), dtype=torch.float64)
        for layer, mean in zip(layers[1:], means, strict=True):
            m = mean[of_row].double()
            q = q * torch.where(layer[mine] > 0, m, 1 - m).prod(1)
        by_definition = (q * (total[mine] - q.log())).sum().item()
        assert bound[of_row].item() == pytest.approx(by_definition, abs=1e-4)
    likelihood = dbm.log_unnormalised(v)
    assert (bound <= likelihood + 1e-4).all()
    assert (bound >= at_start - 1e-4).all()
    assert (likelihood - bound).max() < 1.5 and (bound - at_start).max() > 0.05


def test_an_update_of_mean_field_never_lowers_the_bound() -> None:
    dbm = small_dbm([6, 5, 4, 3], std=2.0)
    v = all_states(6)
    means, from_below = dbm.up(v), dbm.from_below(v)
    before = dbm.expected(v, means)
    for _ in range(10):
        means = dbm.refined(from_below, means)
        after = dbm.expected(v, means)
        assert (after >= before - 1e-4).all()
        before = after


@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
def test_gibbs_steps_keep_the_joint(sizes: list[int]) -> None:
    """Oracle: pair means by enumeration; 40,000 chains that start at the joint's own samples."""
    dbm = small_dbm(sizes, std=0.7)
    generator = torch.Generator().manual_seed(1)
    layers = every_state(dbm)
    p = torch.softmax(minus_energy(dbm, layers), 0)
    n = 40_000
    drawn = torch.multinomial(p, n, replacement=True, generator=generator)
    chains = tuple(layer[drawn].float() for layer in layers)
    states, means = dbm.gibbs(chains, 3, generator)
    assert not all(torch.equal(a, b) for a, b in zip(states, chains, strict=True))
    pairs = zip(layers, layers[1:], means, means[1:], states, states[1:], strict=False)
    for below, above, m_below, m_above, s_below, s_above in pairs:
        exact = (p[:, None] * below).t() @ above
        for found in (m_below.t() @ m_above / n, s_below.t() @ s_above / n):
            torch.testing.assert_close(found.double(), exact, atol=0.015, rtol=0)
    for number, (state, mean) in enumerate(zip(states, means, strict=True)):
        assert torch.equal(state, mean) == bool(number % 2)


def test_a_pass_up_doubles_all_but_the_top() -> None:
    dbm = small_dbm([4, 3, 5])
    v = all_states(4)
    first, second = dbm.up(v)
    W, b = dbm.W, dbm.b
    torch.testing.assert_close(first, (2 * v @ W[0] + b[1]).sigmoid())
    torch.testing.assert_close(second, (first @ W[1] + b[2]).sigmoid())


@pytest.mark.parametrize("sizes", SIZES[:2], ids=str)
def test_copies_stand_for_layers_to_come(sizes: list[int]) -> None:
    """A unit sees as much input as in the DBM where the copies of a layer are its two neighbours'.

    At the bottom v counts twice up and h once down; at the top the other way round.
    """
    rbms = greedy_stack(sizes, "cpu")
    for i, rbm in enumerate(rbms):
        rbm.flat.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(i))
    found = [(rbm.copies_v, rbm.copies_h) for rbm in rbms]
    assert found == {3: [(2, 1), (1, 2)], 4: [(2, 1), (2, 2), (1, 2)]}[len(sizes)]
    dbm = DBM(sizes)
    dbm.stack(rbms)
    v = all_states(sizes[0])
    torch.testing.assert_close(dbm.up(v)[0], rbms[0].hidden_mean(v))
    h = all_states(sizes[1])
    torch.testing.assert_close(dbm.mean(0, (v, h)), rbms[0].visible_mean(h))
    top = all_states(sizes[-1])
    below = rbms[-1].visible_mean(top)
    W, a = rbms[-1].parameters["W"], rbms[-1].parameters["a"]
    torch.testing.assert_close(below, (a + 2 * top @ W.t()).sigmoid())
    for no in (lambda: rbms[0].free_energy(v), lambda: rbms[0].log_partition()):
        with pytest.raises(ValueError, match="of one copy"):
            no()


def test_one_copy_of_each_is_an_rbm() -> None:
    plain, copied = RBM(4, 3), CopiedRBM(4, 3, 1, 1)
    plain.flat.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(0))
    copied.flat.copy_(plain.flat)
    v, h = all_states(4), all_states(3)
    torch.testing.assert_close(copied.hidden_mean(v), plain.hidden_mean(v))
    torch.testing.assert_close(copied.visible_mean(h), plain.visible_mean(h))


def test_a_net_begins_as_the_machine() -> None:
    """At a fixed point of mean field, its hidden layers are the means of h_1 and h_2."""
    dbm = small_dbm([6, 5, 4])
    model = DBMClassifier([6, 5, 4], 3, 100)
    model.begin_as(dbm, torch.Generator().manual_seed(0))
    v = all_states(6)
    means, _ = posterior(dbm, v, 100)
    seen = inputs(model, v)
    torch.testing.assert_close(seen, torch.cat([v, means[1]], 1))
    for hidden, mean in zip(model.net.mlp.hidden(seen), means, strict=True):
        torch.testing.assert_close(hidden, mean, atol=1e-5, rtol=0)
    assert torch.equal(classify(model, v), model.net.classify(seen))
    again = DBMClassifier(**model.config)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.dbm.flat, dbm.flat) and torch.equal(again.net.flat, model.net.flat)


def test_a_deeper_net_begins_with_a_pass_up() -> None:
    dbm = small_dbm([6, 5, 4, 3])
    model = DBMClassifier([6, 5, 4, 3], 2, 5)
    model.begin_as(dbm, torch.Generator().manual_seed(0))
    seen = torch.rand(7, 10, generator=torch.Generator().manual_seed(1))
    first, second, third = model.net.mlp.hidden(seen)
    W, b = dbm.W, dbm.b
    torch.testing.assert_close(second, (2 * first @ W[1] + b[2]).sigmoid())
    torch.testing.assert_close(third, (second @ W[2] + b[3]).sigmoid())


def test_units_that_do_not_change_are_seen() -> None:
    dbm = small_dbm([4, 3, 2])
    dbm.W[0][:, 1] = 0
    dbm.W[1][1] = 0
    (mean, std), _ = activity(dbm, all_states(4), 50)
    assert std[1] < 1e-6 < std[0]
    assert mean[1].item() == pytest.approx(dbm.b[1][1].sigmoid().item())


@pytest.mark.parametrize("sizes", [[4], [4, 3], [4, 0, 3]])
def test_too_few_layers(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="two hidden ones or more"):
        DBM(sizes)
