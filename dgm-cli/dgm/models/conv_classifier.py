"""A small convolutional classifier of images, whose last hidden layer serves as features."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu


class ConvClassifier(nn.Module):
    """Two layers of 5 x 5 kernels, each with stride 2, one of `features` units, and logits.

    Units are rectified. Images are rows of grey pixels in [0, 1], (n, pixels).
    """

    def __init__(
        self, shape: Sequence[int], classes: int, filters: int = 16, features: int = 64
    ) -> None:
        super().__init__()
        self.config = {"shape": list(shape), "classes": classes}
        self.config |= {"filters": filters, "features": features}
        self.shape = tuple(shape)
        self.first = nn.Conv2d(1, filters, 5, stride=2, padding=2)
        self.second = nn.Conv2d(filters, 2 * filters, 5, stride=2, padding=2)
        smallest = -(-shape[0] // 4) * -(-shape[1] // 4)
        self.hidden = nn.Linear(2 * filters * smallest, features)
        self.output = nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """The states of the last hidden layer, (n, features)."""
        h = x.view(len(x), 1, *self.shape)
        h = relu(self.second(relu(self.first(h))))
        return relu(self.hidden(h.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        """The logit of each class, (n, classes)."""
        logits: Tensor = self.output(self.features(x))
        return logits
