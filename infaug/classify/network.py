"""F: normalisation, a body that makes features, and one linear head."""

import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn

from infaug.classify.allconv import AllConv
from infaug.classify.batchnorm import convert_batchnorm
from infaug.classify.resnet_cifar import CifarResNet
from infaug.classify.wide_resnet import WideResNet
from infaug.config import Network
from infaug.randomness import Purpose, generator


class ImageClassifier(nn.Module):
    """logits = head(body((x - mean) / std)), for x in [0, 1].

    Normalisation is part of F, so that every other room can speak of images in [0, 1].
    `mean` and `std` are [C, 1, 1] and saved with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, num_features: int, num_classes: int, channels):
        super().__init__()
        self.body = body
        self.head = nn.Linear(num_features, num_classes)
        self.register_buffer("mean", torch.full((channels, 1, 1), 0.5))
        self.register_buffer("std", torch.full((channels, 1, 1), 0.5))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Input of the head for each image."""
        return self.body((x - self.mean) / self.std)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B Y"]:
        """Logits."""
        return self.head(self.features(x))

    def normalise_by(self, images: Float[Tensor, "N C H W"]) -> None:
        """Set `mean` and `std` to those of each channel of `images`."""
        self.mean.copy_(images.mean(dim=(0, 2, 3))[:, None, None])
        std = images.std(dim=(0, 2, 3))[:, None, None]
        # A constant channel carries nothing; dividing by 1 keeps it finite.
        self.std.copy_(torch.where(std > 0, std, 1.0))


def build_classifier(
    network: Network, channels: int, num_classes: int, *seed: Purpose
) -> ImageClassifier:
    """F by name, with initial weights that are a function of `seed`.

    `resnet18` and `resnet50` are torchvision's; `resnet56` is He et al.'s for CIFAR,
    `wrn28_10` Zagoruyko and Komodakis'.

    Raises:
        ValueError: if `network` is `auto`, which the plan must settle first.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(*seed, "classifier").initial_seed())
        body, num_features = _body(network, channels)
        classifier = ImageClassifier(body, num_features, num_classes, channels)
    convert_batchnorm(classifier)
    return classifier


def _body(network: Network, channels: int) -> tuple[nn.Module, int]:
    if network == "allconv":
        return AllConv(channels), AllConv.num_features
    if network == "resnet56":
        return CifarResNet(channels, depth=56), CifarResNet.num_features
    if network == "wrn28_10":
        body = WideResNet(channels)
        return body, body.num_features
    if network in ("resnet18", "resnet50"):
        body = torchvision.models.get_model(network, weights=None)
        assert isinstance(body.fc, nn.Linear), "torchvision's ResNets end in fc"
        num_features = body.fc.in_features
        body.fc = nn.Identity()
        if channels != 3:
            body.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
        return body, num_features
    raise ValueError(f"classifier.network: {network!r} is not a network that is built")
