"""Times what `dgm` is fast at against a peer, in one go, and writes results/benchmarks.csv.

Each row alternates ours and the peer and keeps the medians. `ratio` above 1: ours is faster.
`limit` is the floor from operations or bytes at rates measured here, `share` = limit / ours.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dgm import data
from dgm.data.batches import Minibatches
from dgm.inference.ais import AIS, schedule
from dgm.learning.adam import Adam
from dgm.learning.aevb import AEVB
from dgm.learning.contrastive_divergence import ContrastiveDivergence
from dgm.learning.deep_boltzmann import DeepBoltzmann
from dgm.learning.reweighted_wake_sleep import ReweightedWakeSleep
from dgm.models.dbm import DBM
from dgm.models.rbm import RBM, RBMPath
from dgm.models.sigmoid_belief_net import SigmoidBeliefNet
from dgm.models.vae import VAE
from dgm.retrieval.search import build, hits, nearest

BATCH, VISIBLE, IMAGES = 100, 784, 50_000
CUTOFFS = [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023]


def seconds(work: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def alternate(
    ours: Callable[[], object], peer: Callable[[], object], repeats: int, rounds: int
) -> tuple[float, float]:
    """Median seconds a call of each, turn and turn about, after one round to warm up."""
    pairs = [(seconds(ours, repeats), seconds(peer, repeats)) for _ in range(rounds + 1)]
    mine, theirs = zip(*pairs[1:], strict=True)
    return statistics.median(mine), statistics.median(theirs)


def aevb_step() -> dict[str, object]:
    """One minibatch of AEVB, 784-100-3, against autograd with torch.optim.Adagrad."""
    hidden, latent, rate, steps = 100, 3, 0.1, 300
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(IMAGES, VISIBLE, generator=generator)
    with torch.no_grad():  # as the runner does
        model = VAE(VISIBLE, hidden, latent)
        model.initialise(0.1, generator)
        learner = AEVB(model, IMAGES, rate, generator)
    batches = Minibatches(x, BATCH, generator)

    @torch.no_grad()
    def ours() -> None:
        for _ in range(steps):
            learner.update(*batches.draw())

    step = autograd_step(hidden, latent, torch.optim.Adagrad, rate)

    def peer() -> None:
        for _ in range(steps):
            step(x[torch.randint(len(x), (BATCH,), generator=generator)])

    times = alternate(ours, peer, repeats=1, rounds=60)  # a machine is now fast, now slow
    mine, theirs = (time / steps for time in times)
    return row("aevb_step", mine, theirs, step_floor(hidden, latent, vectors=3))


def vae_epoch() -> dict[str, object]:
    """An epoch of 784-500-20 by Adam, against the usual example loop over a DataLoader."""
    hidden, latent, rate = 500, 20, 0.001
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(IMAGES, VISIBLE, generator=generator) < 0.13).float()
    with torch.no_grad():
        model = VAE(VISIBLE, hidden, latent)
        model.initialise(None, generator)
        learner = AEVB(model, IMAGES, rate, generator, Adam)
    batches = Minibatches(x, BATCH, generator)
    steps = IMAGES // BATCH

    @torch.no_grad()
    def ours() -> None:
        for _ in range(steps):
            learner.update(*batches.draw())

    loader = DataLoader(TensorDataset(x), batch_size=BATCH, shuffle=True, generator=generator)
    step = autograd_step(hidden, latent, torch.optim.Adam, rate)

    def peer() -> None:
        for (batch,) in loader:
            step(batch)

    mine, theirs = alternate(ours, peer, repeats=1, rounds=5)
    return row("vae_epoch", mine, theirs, steps * step_floor(hidden, latent, vectors=4))


def rbm_epoch() -> dict[str, object]:
    """An epoch of CD-1, 784-500, against an iteration of scikit-learn's BernoulliRBM.

    The peer's negative phase goes on from chains of its own, one Gibbs step an update: as many
    products. Its fit of one iteration is that one epoch.
    """
    from sklearn.neural_network import BernoulliRBM

    hidden, rate = 500, 0.05
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(IMAGES, VISIBLE, generator=generator) < 0.13).float()
    with torch.no_grad():
        rbm = RBM(VISIBLE, hidden)
        rbm.initialise(0.01, generator, x)
        learner = ContrastiveDivergence(rbm, 1, rate, generator)
    batches = Minibatches(x, BATCH, generator)

    @torch.no_grad()
    def ours() -> None:
        for _ in range(batches.per_epoch):
            learner.update(*batches.draw())

    theirs_x = x.numpy()

    def peer() -> None:
        BernoulliRBM(hidden, learning_rate=rate, batch_size=BATCH, n_iter=1).fit(theirs_x)

    mine, theirs = alternate(ours, peer, repeats=1, rounds=5)
    products = 2 * 5 * BATCH * VISIBLE * hidden * batches.per_epoch
    return row("rbm_epoch", mine, theirs, products / product_rate())


def rws_epoch() -> dict[str, object]:
    """An epoch of reweighted wake-sleep, 784-200-200, five particles, against the same batched in
    plain autograd with a fused Adam."""
    hidden, particles, rate = [200, 200], 5, 1e-3
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(IMAGES, VISIBLE, generator=generator) < 0.13).float()
    with torch.no_grad():
        net = SigmoidBeliefNet(VISIBLE, hidden)
        net.initialise(0.05, generator, x)
        learner = ReweightedWakeSleep(net, particles, rate, generator)
    batches = Minibatches(x, BATCH, generator)
    steps = batches.per_epoch

    @torch.no_grad()
    def ours() -> None:
        for _ in range(steps):
            learner.update(*batches.draw())

    step = autograd_wake_sleep(hidden, particles, rate)

    def peer() -> None:
        for _ in range(steps):
            step(x[torch.randint(len(x), (BATCH,), generator=generator)])

    mine, theirs = alternate(ours, peer, repeats=1, rounds=3)
    first, second = VISIBLE * hidden[0], hidden[0] * hidden[1]
    wake = particles * (2 * first + 4 * second) + 2 * first  # x meets a batch, not its particles
    multiply_adds = BATCH * (wake + 3 * (first + second))
    floor = 2 * multiply_adds / product_rate() + 4 * 7 * len(net.flat) / copy_rate(len(net.flat))
    return row("rws_epoch", mine, theirs, steps * floor)


def ais() -> dict[str, object]:
    """100 chains through 14,500 temperatures of 784-500, which has no peer."""
    chains, hidden = 100, 500
    generator = torch.Generator().manual_seed(0)
    rbm = RBM(VISIBLE, hidden)
    rbm.initialise(0.05, generator)
    betas = schedule((500, 0, 0.5), (4000, 0.5, 0.9), (10_000, 0.9, 1))

    @torch.no_grad()
    def ours() -> None:
        annealing = AIS(RBMPath(rbm), betas, chains, generator)
        for step in range(annealing.steps):
            annealing.update(step)

    mine = seconds(ours, 1)
    products = 2 * 2 * chains * VISIBLE * hidden * (len(betas) - 1)
    return row("ais", mine, None, products / product_rate())


def dbm_update() -> dict[str, object]:
    """A joint update of 784-500-1000, 5 updates of mean field and 5 Gibbs steps, against a plain
    loop in single precision that does the same."""
    sizes, updates, steps, rate = [VISIBLE, 500, 1000], 5, 5, 0.01
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(BATCH, VISIBLE, generator=generator) < 0.13).float()
    with torch.no_grad():
        dbm = DBM(sizes)
        dbm.flat.normal_(0.0, 0.02, generator=generator)
        learner = DeepBoltzmann(dbm, x, rate, generator, steps, updates, precision=torch.bfloat16)
    rows = torch.arange(BATCH)
    W1, W2 = (W.clone() for W in dbm.W)
    a, b, c = (bias.clone() for bias in dbm.b)
    chains = [x.clone(), torch.bernoulli(torch.full((BATCH, sizes[2]), 0.5))]

    @torch.no_grad()
    def ours() -> None:
        learner.update(x, rows)

    @torch.no_grad()
    def peer() -> None:
        m1 = torch.sigmoid(2 * x @ W1 + b)
        m2 = torch.sigmoid(m1 @ W2 + c)
        for _ in range(updates):
            m1 = torch.sigmoid(x @ W1 + m2 @ W2.T + b)
            m2 = torch.sigmoid(m1 @ W2 + c)
        v, h2 = chains
        for _ in range(steps):
            h1 = torch.bernoulli(torch.sigmoid(v @ W1 + h2 @ W2.T + b))
            v = torch.bernoulli(torch.sigmoid(h1 @ W1.T + a))
            h2 = torch.bernoulli(torch.sigmoid(h1 @ W2 + c))
        chains[:] = v, h2
        W1.add_(rate * (x.T @ m1 - v.T @ h1) / BATCH)
        W2.add_(rate * (m1.T @ m2 - h1.T @ h2) / BATCH)
        a.add_(rate * (x - v).mean(0))
        b.add_(rate * (m1 - h1).mean(0))
        c.add_(rate * (m2 - h2).mean(0))

    mine, theirs = alternate(ours, peer, repeats=10, rounds=15)
    first, second = VISIBLE * sizes[1], sizes[1] * sizes[2]
    products = (2 + 2 * steps + 2) * first + (1 + 2 * updates + 2 * steps + 2) * second
    return row("dbm_update", mine, theirs, 2 * BATCH * products / product_rate(torch.bfloat16))


def retrieval(name: str, collection: str, peer: str, sampled: int) -> dict[str, object]:
    """Each of 400,000 codes against all: ours and the peer's share of same-class neighbours.

    Both answer the queries of `sampled` clusters, and are extrapolated to all; ours sorts the codes
    into clusters before, once. The peer's counts must be ours but for cosines that rounding orders.
    """
    codes = data.load(collection)
    index = build(torch.from_numpy(codes.codes))
    building = seconds(lambda: build(torch.from_numpy(codes.codes)), 1)
    chosen = range(0, index.clusters, max(1, index.clusters // sampled))
    queries = np.concatenate([nearest(index, cluster, CUTOFFS[-1])[0] for cluster in chosen])
    pool = ThreadPoolExecutor(torch.get_num_threads())
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        lists = pool.map(lambda cluster: nearest(index, cluster, CUTOFFS[-1])[1], chosen)
        found["ours"] = np.concatenate(list(lists))

    search = PEERS[peer](codes.codes, queries)

    def theirs() -> None:
        others = search()
        kept = others != queries[:, None]  # itself, which is among them if rounding let it
        kept[kept.all(1), -1] = False
        found["theirs"] = others[kept].reshape(len(queries), CUTOFFS[-1])

    mine, other = alternate(ours, theirs, repeats=1, rounds=3)
    of_ours, of_theirs = (
        hits(codes.classes, queries, found[who], CUTOFFS) for who in ("ours", "theirs")
    )
    torch.testing.assert_close(of_ours, of_theirs, rtol=1e-4, atol=0)
    whole = len(codes.codes) / len(queries)
    products = 2.0 * len(codes.codes) ** 2 * codes.codes.shape[1]
    return row(name, building + whole * mine, whole * other, products / product_rate())


def faiss_search(codes: np.ndarray, queries: np.ndarray) -> Callable[[], np.ndarray]:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    x = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    return lambda: index.search(x[queries], CUTOFFS[-1] + 1)[1]


def sklearn_search(codes: np.ndarray, queries: np.ndarray) -> Callable[[], np.ndarray]:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=CUTOFFS[-1] + 1, algorithm="brute", metric="cosine")
    index.fit(codes)
    return lambda: index.kneighbors(codes[queries], return_distance=False)


PEERS = {"faiss": faiss_search, "sklearn": sklearn_search}


def autograd_step(
    hidden: int, latent: int, optimiser: type[torch.optim.Optimizer], rate: float
) -> Callable[[Tensor], None]:
    """The plain loop's step: nn.Sequential, binary cross-entropy, backward, torch's optimiser."""
    encoder = nn.Sequential(nn.Linear(VISIBLE, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
    decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, VISIBLE))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    ascent = optimiser(parameters, lr=rate, weight_decay=1 / IMAGES)  # type: ignore[call-arg]

    def step(batch: Tensor) -> None:
        mean, log_variance = encoder(batch).chunk(2, dim=1)
        logits = decoder(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean))
        error = nn.functional.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        ascent.zero_grad()
        ((error + kl) / BATCH).backward()
        ascent.step()

    return step


def autograd_wake_sleep(hidden: list[int], particles: int, rate: float) -> Callable[[Tensor], None]:
    """The plain step of reweighted wake-sleep: log p and log q of all particles at once."""
    sizes = [VISIBLE, *hidden]
    up = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
    down = nn.ModuleList(nn.Linear(b, a) for a, b in itertools.pairwise(sizes))
    prior = nn.Parameter(torch.zeros(sizes[-1]))
    parameters = [*up.parameters(), *down.parameters(), prior]
    ascent = torch.optim.Adam(parameters, lr=rate, fused=True)

    def log_p(logits: Tensor, states: Tensor) -> Tensor:
        error = nn.functional.binary_cross_entropy_with_logits
        return -error(logits, states.expand_as(logits), reduction="none").sum(-1)

    def log_q(states: list[Tensor]) -> Tensor:
        pairs = zip(up, itertools.pairwise(states), strict=True)
        return torch.stack([log_p(f(a), b) for f, (a, b) in pairs]).sum(0)

    def step(batch: Tensor) -> None:
        with torch.no_grad():
            states = [batch.expand(particles, -1, -1)]
            for layer in up:
                states.append(layer(states[-1]).sigmoid().bernoulli())
            dream = [prior.sigmoid().expand(BATCH, -1).bernoulli()]
            for layer in reversed(down):
                dream.insert(0, layer(dream[0]).sigmoid().bernoulli())
        pairs = zip(down, itertools.pairwise(states), strict=True)
        joint = log_p(prior.expand_as(states[-1]), states[-1])
        joint = joint + sum(log_p(layer(above), below) for layer, (below, above) in pairs)
        q = log_q(states)
        w = (joint - q).detach().softmax(0)
        ascent.zero_grad()
        (-(w * (joint + 0.5 * q)).sum(0).mean() - 0.5 * log_q(dream).mean()).backward()
        ascent.step()

    return step


def step_floor(hidden: int, latent: int, vectors: int) -> float:
    """Seconds of a step's products, and of one pass over `vectors` as long as the parameters.

    The optimiser reads parameters, gradient and its own vectors, and writes all but the gradient.
    """
    multiply_adds = BATCH * (5 * VISIBLE * hidden + 2 * hidden * 2 * latent + 4 * hidden * latent)
    size = 2 * VISIBLE * hidden + 3 * hidden * latent
    bytes_moved = 4 * (2 * vectors - 1) * size
    return 2 * multiply_adds / product_rate() + bytes_moved / copy_rate(size)


def startup() -> dict[str, object]:
    """`dgm --help` against an interpreter that does nothing."""

    def run(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    mine, theirs = alternate(run("-m", "dgm", "--help"), run("-c", "pass"), repeats=1, rounds=11)
    return row("startup", mine, theirs, None) | {"threads": 1}


def product_rate(kind: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second in a large matrix product."""
    a, b = (torch.rand(1024, 1024).to(kind) for _ in range(2))
    return 2 * 1024**3 / min(seconds(lambda: a @ b, 3) for _ in range(7))


def copy_rate(n: int) -> float:
    """Bytes read and written a second by a copy of a vector of the model's size."""
    a, b = torch.rand(n), torch.rand(n)
    return 8 * n / min(seconds(lambda: b.copy_(a), 50) for _ in range(7))


def row(name: str, ours: float, peer: float | None, limit: float | None) -> dict[str, object]:
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "unit": "s",
        "ratio": peer / ours if peer else None,
        "limit": limit,
        "share": limit / ours if limit else None,
        "threads": torch.get_num_threads(),
    }


ROWS = {
    "aevb_step": aevb_step,
    "vae_epoch": vae_epoch,
    "rbm_epoch": rbm_epoch,
    "rws_epoch": rws_epoch,
    "ais": ais,
    "dbm_update": dbm_update,
    "retrieval": lambda: retrieval("retrieval", "clustered_codes", "faiss", 8),
    "retrieval_isotropic": lambda: retrieval("retrieval_isotropic", "isotropic_codes", "faiss", 8),
    "retrieval_sklearn": lambda: retrieval("retrieval_sklearn", "clustered_codes", "sklearn", 2),
    "startup": startup,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], help="all unless named")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("results"))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    path = chosen.out / "benchmarks.csv"
    rows = {name: ROWS[name]() for name in chosen.rows or ROWS}
    if path.exists():  # of which the rows that were not timed now are kept
        rows = {of["name"]: of for of in pd.read_csv(path).to_dict("records")} | rows
    table = pd.DataFrame([rows[name] for name in ROWS if name in rows])
    chosen.out.mkdir(exist_ok=True)
    table.to_csv(path, index=False, float_format="%.4g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
