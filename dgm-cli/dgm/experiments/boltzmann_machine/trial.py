"""Boltzmann machines: the encoders of 1985, and what either phase of learning costs.

Hinton & Sejnowski (1983); Ackley, Hinton & Sejnowski (1985). The machine:
`dgm.models.boltzmann_machine`; learning by signs: `dgm.learning.encoder`; exact distributions,
gradients and sweeps: `dgm.inference.enumerated_machine`.
"""

import math
from typing import Any

import torch
from torch import Tensor

from dgm.data.binarise import binarise
from dgm.errors import BadInput
from dgm.experiments.boltzmann_machine.settings import (
    CHAINS,
    COMPLETE,
    GENERAL,
    LEARNED_WITH,
    RESTRICTED,
    SCALES,
    SHORT,
    Encoder,
    Phases,
    Settings,
)
from dgm.inference.ais import AIS, schedule
from dgm.inference.annealing import inverse_temperatures
from dgm.inference.enumerated_machine import MOST, EnumeratedMachine, log_likelihood
from dgm.learning.encoder import Encoders, Protocol
from dgm.models.boltzmann_machine import BoltzmannMachine, MachinePath
from dgm.models.connections import complete, pairs_of, restricted
from dgm.protocols.spacing import log_spaced
from dgm.report.tables import Artifacts
from dgm.state import State
from dgm.trial.loop import Trial

RECORDED = 60  # log-spaced cycles, or steps of gradient ascent, that a curve shows
LAST = 50  # cycles over which the share of right outputs is averaged in the end


def run_trial(settings: Settings, trial: Trial) -> Artifacts:
    """Run one of the two parts, which share the machine and its learning rule."""
    return encoders(settings, trial) if isinstance(settings, Encoder) else phases(settings, trial)


# --- the encoders --------------------------------------------------------------------------------


class Runs(State):
    """What came of each machine so far; a cycle without error has all codes distinct, and the right
    output for every pattern."""

    saved = ("streak", "solved", "distinct", "right")

    def __init__(self, runs: int) -> None:
        self.streak = torch.zeros(runs)  # successive cycles without error
        self.solved = torch.zeros(runs)  # the cycle at which there were enough of them, or 0
        self.distinct = torch.zeros(runs)  # the first cycle whose codes were all distinct, or 0
        self.right = torch.zeros(LAST, runs)  # shares of right outputs, of the last cycles


def encoders(settings: Encoder, trial: Trial) -> Artifacts:
    """Learn until a run is solved or there are no cycles left; test each cycle without noise."""
    side, hidden, _ = (int(size) for size in settings.encoder.split("-"))
    machines = Encoders(settings.runs, side, hidden, trial.generator, settings.step, settings.decay)
    noisy = Protocol(
        settings.schedule,
        settings.repeats,
        settings.counted,
        settings.on_to_off,
        settings.off_to_on,
    )
    clean = noisy._replace(on_to_off=0.0, off_to_on=0.0)
    runs, recorded = Runs(settings.runs), set(log_spaced(1, settings.cycles, RECORDED))
    for step in trial.steps(settings.cycles, "cycles", machines=machines, runs=runs):
        cycle, learning = step + 1, (runs.solved == 0).nonzero()[:, 0]
        if len(learning):
            protocol = noisy if cycle <= settings.noisy else clean
            connected = cycle > settings.unconnected
            machines.update(protocol, learning, connected, settings.pace(cycle))
            of_all = cycle in recorded or cycle > settings.cycles - LAST
            test(settings, machines, runs, cycle, learning, of_all)
        if cycle in recorded:
            trial.record(
                "learning",
                cycle=cycle,
                codes=machines.distinct().double().mean().item() / side,
                right=runs.right[step % LAST].mean().item(),
                solved=(runs.solved > 0).double().mean().item(),
            )
    columns = (runs.solved, runs.distinct, runs.right[: settings.cycles].mean(0))
    for run, (solved, distinct, right) in enumerate(torch.stack(columns, 1).tolist()):
        codes = int(machines.distinct()[run])
        trial.record("runs", run=run, solved=solved, distinct=distinct, right=right, codes=codes)
    arrays = {"codes": machines.codes()[0].numpy(), "weights": machines.weights[0].numpy()}
    return Artifacts(trial.tables(), arrays)


def test(
    settings: Encoder, machines: Encoders, runs: Runs, cycle: int, learning: Tensor, of_all: bool
) -> None:
    """Test those of the machines `learning` whose codes are distinct once the noise has ended, or
    all; note which are solved. What is not tested keeps its last share of right outputs."""
    distinct = machines.distinct()[learning] == machines.side
    counts = distinct & (cycle > settings.noisy)
    tested = learning if of_all else learning[counts]
    now = runs.right[(cycle - 1) % LAST]
    now.copy_(runs.right[(cycle - 2) % LAST])
    if len(tested):
        now[tested] = machines.completes(settings.test_schedule, tested).float().mean(1)
    without_error = counts & (now[learning] == 1)
    runs.streak[learning] = torch.where(without_error, runs.streak[learning] + 1, 0.0)
    runs.distinct[learning[distinct & (runs.distinct[learning] == 0)]] = cycle
    done = learning[runs.streak[learning] >= settings.enough]
    runs.solved[done] = cycle
    runs.right[:, done] = 1.0


# --- the two phases, exactly ---------------------------------------------------------------------


def phases(settings: Phases, trial: Trial) -> Artifacts:
    """Learn three machines to the same likelihood by the exact gradient, and measure their phases.

    The restricted machine learns for all steps, the others until they are as good. In the general
    one each hidden unit is connected to all units; the complete one has all connections.
    """
    data = trial.data
    _, whole = binarise(data.name, "static", data.train, {"train": data.train})
    x, visible = whole["train"], whole["train"].shape[1]
    units = visible + settings.hidden
    if units > MOST:
        raise BadInput(f"hidden {settings.hidden}: {units} units, of which {MOST} are enumerated")
    aim = math.inf
    for name, pairs in connected(settings, visible).items():
        machine = BoltzmannMachine(units, pairs)
        machine.initialise(settings.initial_std, trial.generator)
        learned = noisy(EnumeratedMachine(machine, visible).empirical(x), settings.noise)
        aim = ascend(settings, trial, machine, name, learned, aim, settings.steps)
        gradient_error(trial, machine, name, learned)
        sampled(settings, trial, machine, name, learned, x)
        sweeps(settings, trial, machine, name, learned)
        short_chains(trial, machine, name, learned)
        if name == GENERAL:
            learn_with_short_chains(settings, trial, machine.config, learned)
    return Artifacts(trial.tables())


def connected(settings: Phases, visible: int) -> dict[str, list[tuple[int, int]]]:
    """The connections of each machine; the restricted one first, whose likelihood is the aim."""
    units, bipartite = visible + settings.hidden, restricted(visible, settings.hidden)
    try:
        given = pairs_of(settings.connections, units)
    except ValueError as error:
        raise BadInput(str(error)) from error
    general = given or sorted(bipartite + complete(range(visible, units)))
    return {RESTRICTED: bipartite, GENERAL: general, COMPLETE: complete(range(units))}


def noisy(data: Tensor, noise: float) -> Tensor:
    """The distribution (2^visible,) of the data after each bit is turned over with `noise`."""
    for i in range(len(data).bit_length() - 1):
        of_bit = data.view(-1, 2, 2**i)
        data = ((1 - noise) * of_bit + noise * of_bit.flip(1)).flatten()
    return data


def ascend(
    settings: Phases,
    trial: Trial,
    machine: BoltzmannMachine,
    name: str,
    data: Tensor,
    aim: float,
    steps: int,
    k: int = 0,
) -> float:
    """Gradient ascent with momentum until the mean log-likelihood is `aim`; what it is in the end.

    Follows the exact gradient, or contrastive divergence's expected direction of k sweeps.
    """
    velocity, visible = torch.zeros_like(machine.flat), (len(data) - 1).bit_length()
    recorded = {0, *log_spaced(1, steps, RECORDED)}
    for step in range(steps + 1):
        exact = EnumeratedMachine(machine, visible)
        mean = (data @ exact.log_p_v).item()
        if step in recorded or mean >= aim:
            trial.record("learned", machine=name, cut=k, step=step, log_likelihood=mean)
        if mean >= aim or step == steps:
            break
        direction = exact.contrastive_divergence(data, k) if k else exact.gradient(data)
        velocity.mul_(settings.momentum).add_(direction.float(), alpha=settings.rate)
        machine.flat.add_(velocity)
    return mean


def gradient_error(trial: Trial, machine: BoltzmannMachine, name: str, data: Tensor) -> None:
    """Record the largest difference between the gradient from enumerated statistics and that of
    autograd through the enumerated likelihood."""
    visible = (len(data) - 1).bit_length()
    flat = machine.flat.double().requires_grad_()
    with torch.enable_grad():
        mean = log_likelihood(flat, machine, visible, data)
    (by_autograd,) = torch.autograd.grad(mean, flat)
    gradient = EnumeratedMachine(machine, visible).gradient(data)
    error = (gradient - by_autograd).abs().max().item()
    trial.record("gradient", machine=name, error=error)


def sampled(
    settings: Phases, trial: Trial, machine: BoltzmannMachine, name: str, data: Tensor, x: Tensor
) -> None:
    """Record how far free statistics of annealed chains are from the exact ones, by the number of
    chains; and how far log Z and log p(x) by annealed importance sampling are."""
    visible = x.shape[1]
    exact, generator = EnumeratedMachine(machine, visible), trial.generator
    free, betas = torch.arange(machine.units), inverse_temperatures(settings.schedule)
    aim = exact.pairs(exact.log_p.exp())
    for chains in CHAINS:
        start = torch.randint(2, (chains, machine.units), generator=generator)
        _, pairs = machine.sample(start, free, betas, generator, counted=1)
        error = (pairs - aim).abs()
        about = {"worst": error.max().item(), "rms": error.square().mean().sqrt().item()}
        trial.record("sampled", machine=name, chains=chains, **about)
    temperatures = schedule((settings.ais_steps, 0, 1))

    def anneal(clamped: Tensor | None = None) -> float:
        ais = AIS(MachinePath(machine, clamped), temperatures, settings.ais_chains, generator)
        for step in range(ais.steps):
            ais.update(step)
        return ais.result().log_partition

    log_z = anneal()
    mean = sum(anneal(image) for image in x) / len(x) - log_z
    true = (exact.empirical(x) @ exact.log_p_v).item()
    trial.record(
        "annealed",
        machine=name,
        log_partition_error=log_z - exact.log_partition,
        log_likelihood=true,
        sampled_log_likelihood=mean,
    )


def sweeps(
    settings: Phases, trial: Trial, machine: BoltzmannMachine, name: str, data: Tensor
) -> None:
    """Record how many sweeps either phase needs, with the weights and biases times each scale."""
    visible, units = (len(data) - 1).bit_length(), machine.units
    limits = settings.tolerance, settings.most_sweeps
    end = machine.flat.clone()
    for scale in SCALES:
        machine.flat.copy_(scale * end)
        exact = EnumeratedMachine(machine, visible)
        clamped = exact.clamped_sweeps(data, *limits)
        mean, start = exact.clamped(data), exact.uniform(data)
        of_mean = exact.sweeps_needed(start, range(visible, units), mean, *limits)
        model, start = exact.log_p.exp(), exact.uniform()
        free = exact.sweeps_needed(start, range(units), model, *limits)
        trial.record(
            "sweeps", machine=name, scale=scale, clamped=clamped, of_mean=of_mean, free=free
        )
    machine.flat.copy_(end)


def short_chains(trial: Trial, machine: BoltzmannMachine, name: str, data: Tensor) -> None:
    """Record how far the expected direction with a free phase of k sweeps from the data is from
    the exact gradient, where learning ended."""
    exact = EnumeratedMachine(machine, (len(data) - 1).bit_length())
    gradient = exact.gradient(data)
    for k in SHORT:
        followed = exact.contrastive_divergence(data, k)
        trial.record(
            "short",
            machine=name,
            k=k,
            bias=(followed - gradient).norm().item(),
            exact_norm=gradient.norm().item(),
        )


def learn_with_short_chains(
    settings: Phases, trial: Trial, config: dict[str, Any], data: Tensor
) -> None:
    """Learn the general machine anew, from one start, by the exact gradient and by contrastive
    divergence."""
    start = BoltzmannMachine(**config)
    start.initialise(settings.initial_std, trial.generator)
    for k in (0, *LEARNED_WITH):
        machine = BoltzmannMachine(**config)
        machine.flat.copy_(start.flat)
        ascend(settings, trial, machine, "anew", data, math.inf, settings.short_steps, k)
