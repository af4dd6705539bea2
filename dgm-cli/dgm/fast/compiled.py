"""The loops of `dgm.fast.loops`, each compiled when it is first called."""

import math
from typing import Any

import numpy as np
from numba import njit

HALF: Any = np.float32(0.5)
ONE: Any = np.float32(1.0)
WORDS: Any = np.float32(65536.0)  # numbers of 16 bits
MIDDLE: Any = np.float32(32768.5)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
BITS_27, BITS_30, BITS_31 = np.uint64(27), np.uint64(30), np.uint64(31)
LOG2_E, SURE = np.float32(1.4426950408889634), np.float32(80)
ZERO, TWO = np.float32(0.0), np.float32(2.0)
EXPONENT, MANTISSA = np.int32(127), np.int32(23)  # of a 32-bit float: its bias, its bits
# 2^f for f in [-1/2, 1/2]: Taylor's terms, which err by less than a 32-bit float does.
TAYLOR: Any = tuple(np.float32(math.log(2) ** n / math.factorial(n)) for n in range(7))
RUN = 64  # factors between 1 and 2 whose product is still a 32-bit float
BITS_32, LOW_32 = np.uint64(32), np.uint64(0xFFFFFFFF)

compiled = njit(nogil=True, fastmath=True, error_model="numpy")

inlined = njit(inline="always", fastmath=True, error_model="numpy")


@inlined
def exp_minus(a: Any) -> Any:
    """exp(-a) for a from 0 to `SURE`, without a call, so that a loop handles several at once."""
    t = -a * LOG2_E
    whole = np.int32(t - HALF)  # towards zero: the nearest whole number
    f = t - np.float32(whole)
    p = TAYLOR[5] + f * TAYLOR[6]
    p = TAYLOR[1] + f * (TAYLOR[2] + f * (TAYLOR[3] + f * (TAYLOR[4] + f * p)))
    power = np.int32((whole + EXPONENT) << MANTISSA).view(np.float32)
    return (ONE + f * p) * power


@compiled
def column_sums(d: Any, sums: Any, scale: float) -> None:
    rows, columns = d.shape
    sums[:] = 0
    whole = rows - rows % 4
    for i in range(0, whole, 4):  # one pass over the sums for four rows
        for j in range(columns):
            sums[j] += (d[i, j] + d[i + 1, j]) + (d[i + 2, j] + d[i + 3, j])
    for i in range(whole, rows):
        for j in range(columns):
            sums[j] += d[i, j]
    sums *= scale


@compiled
def tanh_backward(hidden: Any, d: Any, sums: Any, scale: float) -> None:
    rows, columns = d.shape
    sums[:] = 0
    for i in range(rows):
        for j in range(columns):
            d[i, j] *= ONE - hidden[i, j] * hidden[i, j]
            sums[j] += d[i, j]
    sums *= scale


@compiled
def logistic_backward(hidden: Any, d: Any, sums: Any, scale: float) -> None:
    rows, columns = d.shape
    sums[:] = 0
    for i in range(rows):
        for j in range(columns):
            d[i, j] *= hidden[i, j] * (ONE - hidden[i, j])
            sums[j] += d[i, j]
    sums *= scale


@compiled
def reparameterise(output: Any, noise: Any, z: Any, shift: Any) -> None:
    rows, n = noise.shape
    for i in range(rows):
        for j in range(n):
            shift[i, j] = np.exp(HALF * output[i, n + j]) * noise[i, j]
            z[i, j] = output[i, j] + shift[i, j]


@compiled
def d_reparameterised(output: Any, shift: Any, g: Any, d: Any) -> None:
    rows, n = g.shape
    for i in range(rows):
        for j in range(n):
            d[i, j] = g[i, j] - output[i, j]
            d[i, n + j] = HALF * (g[i, j] * shift[i, j] + ONE - np.exp(output[i, n + j]))


@compiled
def squared_distance(x: Any, y: Any, mean: Any) -> None:
    total = np.float32(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total += (x[i, j] - y[i, j]) * (x[i, j] - y[i, j])
    mean[()] = total / x.shape[0]


@compiled
def add_own(w: Any, g: Any, decay: Any, lasso: Any) -> None:
    for j in range(len(w)):
        sign = np.float32(w[j] > 0) - np.float32(w[j] < 0)
        g[j] -= decay * w[j] + lasso * sign


@compiled
def add_neighbour(w: Any, other: Any, g: Any, smoothness: Any) -> None:
    for j in range(len(w)):
        g[j] -= smoothness * (w[j] - other[j])


@compiled
def add_prior_gradient(
    W: Any, gradient: Any, decay: Any, lasso: Any, smoothness: Any, columns: int
) -> None:
    n = len(W)
    for i in range(n):
        w, g = W[i], gradient[i]
        add_own(w, g, decay, lasso)
        if smoothness > 0:
            if i >= columns:
                add_neighbour(w, W[i - columns], g, smoothness)
            if i + columns < n:
                add_neighbour(w, W[i + columns], g, smoothness)
            if i % columns > 0:
                add_neighbour(w, W[i - 1], g, smoothness)
            if i % columns < columns - 1:
                add_neighbour(w, W[i + 1], g, smoothness)


@compiled
def mixed(z: Any) -> Any:
    z = (z ^ (z >> BITS_30)) * FIRST
    z = (z ^ (z >> BITS_27)) * SECOND
    return z ^ (z >> BITS_31)


@compiled
def random_words(seed: int, words: Any) -> None:
    for i in range(len(words)):
        words[i] = mixed(np.uint64(seed) + np.uint64(i + 1) * GOLDEN)


@compiled
def less_than(words: Any, probability: Any, drawn: Any) -> None:
    for i in range(len(drawn)):
        drawn[i] = np.float32(words[i]) < WORDS * probability[i] - MIDDLE


@inlined
def softplus_run(pre: Any, w: Any, sign: Any, start: int, stop: int) -> Any:
    """Of log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)) the sum: one logarithm for a run."""
    product, linear = ONE, ZERO
    for i in range(start, stop):
        x = pre[i] + sign * w[i]
        product *= ONE + exp_minus(min(abs(x), SURE))
        linear += max(x, ZERO)
    return linear + np.log(product)


@compiled
def softplus_sum(pre: Any, w: Any, sign: Any) -> Any:
    """sum_i log(1 + exp(pre_i + sign w_i))."""
    n, total = len(pre), ZERO
    whole = n - n % RUN
    for start in range(0, whole, RUN):
        total += softplus_run(pre, w, sign, start, start + RUN)
    return total + softplus_run(pre, w, sign, whole, n)


@compiled
def sweep(h: Any, drive: Any, pre: Any, W: Any, noise: Any, scale: Any) -> None:
    rows, n = h.shape
    for r in range(rows):
        now = softplus_sum(pre[r], pre[r], ZERO)
        for j in range(n):
            sign = ONE - TWO * h[r, j]  # of what flipping the unit adds
            flipped = softplus_sum(pre[r], W[j], sign)
            on = drive[r, j] - scale * sign * (flipped - now) > noise[r, j]
            if on != (h[r, j] > HALF):
                for i in range(W.shape[1]):
                    pre[r, i] += sign * W[j, i]
                h[r, j], now = ONE - h[r, j], flipped


@inlined
def bernoulli_run(pre: Any, states: Any, start: int, stop: int) -> Any:
    product, linear = ONE, ZERO
    for j in range(start, stop):
        x = pre[j]
        e = exp_minus(min(abs(x), SURE))
        product *= ONE + e
        linear += states[j] * x - max(x, ZERO)
        pre[j] = states[j] - (ONE if x > ZERO else e) / (ONE + e)
    return linear - np.log(product)


@compiled
def bernoulli_terms(pre: Any, states: Any, log_p: Any) -> None:
    rows, n = pre.shape
    each = rows // len(states)
    whole = n - n % RUN
    for r in range(rows):
        total = ZERO
        for start in range(0, whole, RUN):
            total += bernoulli_run(pre[r], states[r // each], start, start + RUN)
        log_p[r] = total + bernoulli_run(pre[r], states[r // each], whole, n)


@compiled
def gibbs(
    weights: Any,
    biases: Any,
    states: Any,
    free: Any,
    betas: Any,
    seed: int,
    counted: int,
    ordered: bool,
    counts: Any,
) -> None:
    machines, chains, n = states.shape
    m, times = np.uint64(len(free)), len(betas)
    inputs, on = np.empty(n, np.float32), np.empty(n, np.int64)
    for r in range(machines):
        w, count = weights[r], counts[r]
        for c in range(chains):
            s = states[r, c]
            start_inputs(w, biases[r], s, inputs)
            word = mixed(np.uint64(seed) + np.uint64(r * chains + c + 1) * GOLDEN)
            for t in range(times):
                for k in range(len(free)):
                    word += GOLDEN
                    z = mixed(word)
                    # The upper half of the bits chooses the unit, the lower its state.
                    chosen = k if ordered else np.int64(((z >> BITS_32) * m) >> BITS_32)
                    i = free[chosen]
                    odds = np.exp(-betas[t] * inputs[i])
                    drawn = np.float64(z & LOW_32) * (1.0 + odds) < 4294967296.0
                    change = np.float32(drawn) - s[i]
                    if change != 0:
                        s[i] += change
                        for j in range(n):
                            inputs[j] += change * w[i, j]
                if t >= times - counted:
                    count_pairs(s, on, count)


@compiled
def start_inputs(w: Any, b: Any, s: Any, inputs: Any) -> None:
    inputs[:] = b
    for i in range(len(s)):
        if s[i] > 0:
            for j in range(len(s)):
                inputs[j] += w[i, j]


@compiled
def count_pairs(s: Any, on: Any, count: Any) -> None:
    k = 0
    for i in range(len(s)):
        if s[i] > 0:
            on[k] = i
            k += 1
    for a in range(k):
        for b in range(k):
            count[on[a], on[b]] += ONE
