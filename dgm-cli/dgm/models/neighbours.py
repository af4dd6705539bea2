"""The independent judge of generated digits: k nearest training images, Euclidean distance."""

import torch
from torch import Tensor


def classify(train: Tensor, labels: Tensor, x: Tensor, k: int = 3) -> Tensor:
    """The label that most of the k nearest rows of `train` have, for each row of x: (n,).

    A tie goes to the smallest label among those tied.
    """
    from sklearn.neighbors import KNeighborsClassifier

    judge = KNeighborsClassifier(k, algorithm="brute").fit(train.cpu().numpy(), labels.numpy())
    return torch.from_numpy(judge.predict(x.cpu().numpy()))
