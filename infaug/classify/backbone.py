"""F from a network made elsewhere: timm's, torchvision's, or a function of the user's.

`timm:NAME`, `torchvision:NAME` and `efficientnet_lite0` may begin with pretrained
weights and may be frozen; `py:package.module:function` brings weights of its own.
The networks see three channels: grey images are shown in all of them.
"""

from collections.abc import Callable
from typing import Any

import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.classify.batchnorm import convert_batchnorm
from infaug.classify.cut import cut
from infaug.classify.given import (
    Given,
    GivenClassifier,
    given_classifier,
    offered,
    take_apart,
)
from infaug.classify.named import import_network
from infaug.classify.weights import LITE0, import_timm, load_weights
from infaug.config import ClassifierConfig, Freeze
from infaug.randomness import SeedKey, seeded

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CUT_SIZE = 64  # pixels; where it is best to cut hardly depends on it
MAX_CACHED = 2**29  # bytes of what early layers make; the oldest gives way


class Backbone(GivenClassifier):
    """F whose body was made elsewhere; `size` is the only one that it takes, if any.

    Once frozen, the body is two parts: `first` stays as it is, so what it makes of an
    image is computed once, and `last` learns. With a body that is frozen as a whole,
    `first` makes the features and `last` does nothing.
    """

    def __init__(self, body: nn.Module, head: nn.Linear, size: int | None, *seed):
        super().__init__(body, head, 3, *seed)
        self.size = size
        self.cache: ImageCache | None = None
        # In a tuple, as they share the body's tensors and are not saved with them.
        self.parts: tuple[nn.Module, nn.Module] = (body, nn.Identity())

    @property
    def is_frozen(self) -> bool:
        """Whether the body, or its early part, stays as it is."""
        return self.cache is not None

    def freeze(self, how: Freeze) -> None:
        """From here on the `body`, or its `early` part, stays as it is.

        So do BatchNorm's statistics in all of it.
        """
        if how == "early":
            self.parts = cut(self.body, self.size or CUT_SIZE)
        self.cache = ImageCache()
        learning = {id(p) for part in self.parts[1:] for p in part.parameters()}
        self.fixed |= {
            f"body.{k}"
            for k, p in self.body.named_parameters()
            if id(p) not in learning
        }
        self.train(self.training).requires_grad_(True)

    def train(self, mode: bool = True) -> "Backbone":
        """As ever; a frozen body stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            for part in (self.body, *self.parts):
                part.eval()
        return self

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Input of the head for each image."""
        if self.cache is None:
            return super().features(self._fitted(x))
        if x.requires_grad or x.is_cuda:
            return self.parts[1](self.first(x))
        return self.parts[1](self.cache.of(x, self.first))

    def first(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B ..."]:
        """What the frozen part makes of images."""
        return self.parts[0](self.normalised(self._fitted(x)))

    def _fitted(self, x: Tensor) -> Tensor:
        """The images with three channels and, where there is one, in the only size."""
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        if self.size is None or x.shape[2:] == (self.size, self.size):
            return x
        size = (self.size, self.size)
        return F.interpolate(x, size, mode="bilinear", antialias=True)

    def normalise_by(self, images: Float[Tensor, "N C H W"]) -> None:
        """Set `mean` and `std` to those of each channel of `images`."""
        super().normalise_by(images.expand(-1, 3, -1, -1))


class LastPart(nn.Module):
    """What a frozen `Backbone` makes of the activations of its first part: logits."""

    def __init__(self, classifier: Backbone):
        super().__init__()
        self.classifier = classifier
        self.parts_that_fit = 1

    def forward(self, h: Float[Tensor, "B ..."]) -> Float[Tensor, "B Y"]:
        """Logits."""
        return self.classifier.head(self.classifier.parts[1](h))


class ImageCache:
    """What the frozen part made of images that it has seen.

    Images that come again, as those of a view without random draws and of all splits,
    are forwarded once. Each goes through the network alone: the result must not depend
    on which other images were still unknown, or a resumed run would differ.
    """

    def __init__(self):
        self.known: dict[tuple[Any, ...], Tensor] = {}

    def __deepcopy__(self, memo: object) -> "ImageCache":
        return self  # of a part that is frozen as well

    @torch.no_grad()
    def of(self, x: Tensor, first: Callable[[Tensor], Tensor]) -> Tensor:
        """What `first` makes of each image."""
        kind = (x.dtype, torch.is_autocast_enabled(x.device.type))
        found = []
        for image in x:
            key = (*kind, hash(image.contiguous().numpy().tobytes()))
            if key not in self.known:
                made = first(image[None])[0]
                self.known[key] = made
                if len(self.known) * made.nbytes > MAX_CACHED:
                    self.known.pop(next(iter(self.known)))
            found.append(self.known[key])
        return torch.stack(found)


def is_backbone(network: str) -> bool:
    """Whether a network is made here."""
    return ":" in network or network == LITE0


def build_backbone(network: str, num_classes: int, *seed: SeedKey) -> Backbone:
    """F with a new head and, but for `py:`, random weights that follow from `seed`.

    Raises:
        ValueError: if there is no such network, or its last layer is not linear.
    """
    with seeded(*seed, "classifier"):
        model = _model(network, num_classes)
        name = _head_of(model, network)
        body, old = take_apart(model, name)
        head = old
        if old.out_features != num_classes:
            head = nn.Linear(old.in_features, num_classes)
        size = _only_size(model)
        convert_batchnorm(body)
        return Backbone(body, head, size, *seed)


def can_be_cut(network: str) -> bool:
    """Whether early layers of a network can be frozen by themselves."""
    classifier = build_backbone(network, 2, 0)
    try:
        cut(classifier.body, classifier.size or CUT_SIZE)
    except ValueError:
        return False
    return True


def given_by_name(
    network: str, channels: int, num_classes: int, *seed: SeedKey
) -> GivenClassifier:
    """F of a run that was given a module in Python, which `py:` names here."""
    with seeded(*seed, "classifier"):
        model = import_network(network, num_classes)
    with offered(Given(model, _head_of(model, network))):
        return given_classifier(channels, num_classes, *seed)


def begin_backbone(classifier: Backbone, config: ClassifierConfig) -> None:
    """Give F pretrained weights, their normalisation, and freeze it, as requested.

    Raises:
        ValueError: if the weights cannot be had, or none of them fits.
    """
    if config.weights != "none":
        with seeded("weights", "classifier"):
            model = _model(config.network, num_classes=1000)
        head = _head_of(model, config.network)
        about = _about(model)
        load_weights(model, head, config)
        body, _ = take_apart(model, head)
        classifier.body.load_state_dict(convert_batchnorm(body).state_dict())
        for name in ("mean", "std"):
            value = torch.tensor(about[name]).view(3, 1, 1)
            getattr(classifier, name).copy_(value)
        # All classes alike at first: a random head would send noise into the body.
        nn.init.zeros_(classifier.head.weight)
        nn.init.zeros_(classifier.head.bias)
    if config.freeze in ("early", "body"):
        classifier.freeze(config.freeze)


def _model(network: str, num_classes: int) -> nn.Module:
    kind, _, name = network.partition(":")
    if kind == "py":
        return import_network(network, num_classes)
    try:
        if kind == "torchvision":
            return torchvision.models.get_model(
                name, weights=None, num_classes=num_classes
            )
        name = "tf_efficientnet_lite0" if kind == LITE0 else name
        return import_timm().create_model(
            name, pretrained=False, num_classes=num_classes
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"classifier.network: {network} cannot be built: {error}"
        ) from error


def _head_of(model: nn.Module, network: str) -> str:
    """The name of the last linear layer."""
    layers = [n for n, part in model.named_modules() if isinstance(part, nn.Linear)]
    if not layers:
        raise ValueError(f"{network} has no nn.Linear that could be its head")
    return layers[-1]


def _about(model: nn.Module) -> dict[str, Any]:
    """Normalisation that the weights were trained with."""
    return IMAGENET | (getattr(model, "pretrained_cfg", None) or {})


def _only_size(model: nn.Module) -> int | None:
    """The one size that a model takes, as most ViTs do; None: it takes many."""
    about = getattr(model, "pretrained_cfg", None) or {}
    if about.get("fixed_input_size"):
        return about["input_size"][-1]
    return getattr(model, "image_size", None)  # torchvision's ViT
