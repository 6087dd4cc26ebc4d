"""F: normalisation, a body that makes features, and one linear head."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def stretched(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Each image over the whole range: its smallest value 0, its largest 1.

    >>> stretched(torch.tensor([0.25, 0.5, 0.75]).view(1, 1, 1, 3)).flatten().tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - low) / (high - low).clamp_min(1e-3)


class ImageClassifier(nn.Module):
    """logits = head(body((x - mean) / std)), for x in [0, 1].

    Normalisation is part of F, so that every other room can speak of images in [0, 1].
    `mean` and `std` are [C, 1, 1] and saved with the weights, and so is whether each
    image is `stretched` before.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, num_features: int, num_classes: int, channels):
        super().__init__()
        self.is_stretched = False
        # Parts in which a batch has been found to fit into a GPU's memory.
        self.parts_that_fit = 1
        self.body = body
        self.head = nn.Linear(num_features, num_classes)
        self.register_buffer("mean", torch.full((channels, 1, 1), 0.5))
        self.register_buffer("std", torch.full((channels, 1, 1), 0.5))

    def normalised(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Input of the body for each image."""
        if self.is_stretched:
            x = stretched(x)
        return (x - self.mean) / self.std

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Input of the head for each image."""
        return self.body(self.normalised(x))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Y"]:
        """Logits."""
        return self.head(self.features(x))

    def normalise_by(self, images: Float[Tensor, "N C H W"]) -> None:
        """Set `mean` and `std` to those of each channel of `images`."""
        if self.is_stretched:
            images = stretched(images)
        self.mean.copy_(images.mean(dim=(0, 2, 3))[:, None, None])
        std = images.std(dim=(0, 2, 3))[:, None, None]
        # A constant channel carries nothing; dividing by 1 keeps it finite.
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def get_extra_state(self) -> Tensor:
        """`is_stretched`, for the state dictionary."""
        return torch.tensor(self.is_stretched)

    def set_extra_state(self, state: Tensor) -> None:
        """As `get_extra_state` returned it."""
        self.is_stretched = bool(state)
