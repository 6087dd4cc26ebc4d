"""F by its name."""

import torchvision
from torch import nn

from infaug.classify.allconv import AllConv
from infaug.classify.backbone import build_backbone, given_by_name, is_backbone
from infaug.classify.batchnorm import convert_batchnorm
from infaug.classify.given import given_classifier
from infaug.classify.image_classifier import ImageClassifier
from infaug.classify.named import named_network
from infaug.classify.resnet_cifar import CifarResNet
from infaug.classify.wide_resnet import WideResNet
from infaug.config import Network
from infaug.randomness import SeedKey, seeded


def build_classifier(
    network: Network, channels: int, num_classes: int, *seed: SeedKey
) -> ImageClassifier:
    """F by name, with initial weights that are a function of `seed`.

    `resnet18` and `resnet50` are torchvision's; `resnet20` and `resnet56` are He et
    al.'s for CIFAR, `wrn28_10` Zagoruyko and Komodakis'; `given` is the module that
    `offered` offers, with its own weights.

    Raises:
        ValueError: if `network` is `auto`, which the plan must resolve first, or
            `given` and no module is offered or the offered one does not fit.
    """
    if network == "given" and (named := named_network()):
        return given_by_name(named, channels, num_classes, *seed)
    if network == "given":
        return given_classifier(channels, num_classes, *seed)
    if is_backbone(network):
        return build_backbone(network, num_classes, *seed)
    with seeded(*seed, "classifier"):
        body, num_features = _body(network, channels)
        classifier = ImageClassifier(body, num_features, num_classes, channels)
    convert_batchnorm(classifier)
    return classifier


def _body(network: Network, channels: int) -> tuple[nn.Module, int]:
    if network == "allconv":
        return AllConv(channels), AllConv.num_features
    if network in ("resnet20", "resnet56"):
        depth = int(network.removeprefix("resnet"))
        return CifarResNet(channels, depth=depth), CifarResNet.num_features
    if network == "wrn28_10":
        return WideResNet(channels), WideResNet.num_features
    if network in ("resnet18", "resnet50"):
        body = torchvision.models.get_model(network, weights=None)
        assert isinstance(body.fc, nn.Linear), "torchvision's ResNets end in fc"
        num_features = body.fc.in_features
        body.fc = nn.Identity()
        if channels != 3:
            body.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
        return body, num_features
    raise ValueError(f"classifier.network: {network!r} is not a network that is built")
