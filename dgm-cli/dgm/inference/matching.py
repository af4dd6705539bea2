"""Codes that were learned without labels, matched with classes one to one."""

import torch
from torch import Tensor


def match(codes: Tensor, classes: Tensor, n: int) -> Tensor:
    """The class of each of n codes, (n,), such that as many cases as possible agree.

    `codes` and `classes` (cases,) are numbers from 0 to n - 1. No two codes have one class, so that
    two classes which share a code cannot both be right (the Hungarian method).
    """
    from scipy.optimize import linear_sum_assignment

    counts = torch.bincount(codes.cpu() * n + classes.cpu(), minlength=n * n).view(n, n)
    _, of_code = linear_sum_assignment(counts.numpy(), maximize=True)
    return torch.from_numpy(of_code).to(codes.device)


def information_about(log_p: Tensor) -> float:
    """What a code tells of images under Q(c|x), H(E_x[Q(c|x)]) - E_x[H(Q(c|x))], nats.

    `log_p` (n, codes) are log-probabilities. At most log(codes), where each image has one code for
    sure and all codes are equally frequent.
    """
    p = log_p.double().exp()
    mean = p.mean(0)
    of_mean = -(torch.xlogy(mean, mean)).sum()
    return (of_mean + torch.xlogy(p, p).sum(1).mean()).item()
