"""F from a module of the user's: its last linear layer is the head, the rest the body.

The head is found by calling the module once and comparing what comes out with what its
linear layers gave. It is taken out, so that the module returns what the head was given:
the features. Nothing of the module's own code is changed.
"""

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infaug.classify.batchnorm import GroupedBatchNorm, convert_batchnorm
from infaug.classify.image_classifier import ImageClassifier
from infaug.randomness import SeedKey, generator


class GivenClassifier(ImageClassifier):
    """logits = head(body((x - mean) / std)), body and head being parts of a module.

    Dropout and the like draw from torch's default generator, so that is seeded here:
    from the repetition and the number of forward passes in training, which is part of
    the state. So a resumed run draws what the uninterrupted one would.
    """

    forwards: Tensor

    def __init__(self, body: nn.Module, head: nn.Linear, channels: int, *seed: SeedKey):
        super().__init__(body, head.in_features, head.out_features, channels)
        self.head = head.requires_grad_(True)  # without it nothing might learn
        self.seed = seed
        self.register_buffer("forwards", torch.tensor(0))
        self.fixed = {k for k, p in self.named_parameters() if not p.requires_grad}

    def requires_grad_(self, requires_grad: bool = True) -> "GivenClassifier":
        """As ever, but for what was frozen from the first."""
        super().requires_grad_(requires_grad)
        for name, parameter in self.named_parameters():
            if name in self.fixed:
                parameter.requires_grad_(False)
        return self

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Input of the head for each image."""
        if not self.training:
            return super().features(x)
        self.forwards += 1
        drawn = generator(*self.seed, "given", int(self.forwards)).initial_seed()
        devices = [x.device] if x.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(drawn)
            return super().features(x)


@dataclass(frozen=True, eq=False)
class Given:
    """A module of the user's, and the name of its head in it."""

    model: nn.Module
    head: str


_OFFERED: ContextVar[Given | None] = ContextVar("offered", default=None)


@contextlib.contextmanager
def offered(given: Given | None) -> Iterator[None]:
    """Within it, the network `given` is this module.

    A config names its network, and a module has no name that a file could keep.
    """
    before = _OFFERED.set(given)
    try:
        yield
    finally:
        _OFFERED.reset(before)


def given_classifier(
    channels: int, num_classes: int, *seed: SeedKey
) -> GivenClassifier:
    """F made of a copy of the offered module, with the weights that it has.

    Raises:
        ValueError: if none is offered, or its head has another number of classes.
    """
    given = _OFFERED.get()
    if given is None:
        raise ValueError(
            "classifier.network given: the classifier is a module that was given in "
            "Python, and is known only there: call infaug.fit with it and the same "
            "run folder, or choose a network by name"
        )
    body, head = take_apart(copy.deepcopy(given.model), given.head)
    if head.out_features != num_classes:
        raise ValueError(
            f"the model's head {given.head!r} has {head.out_features} outputs, and the "
            f"images have {num_classes} classes: build it with num_classes="
            f"{num_classes}, or give it a new nn.Linear({head.in_features}, "
            f"{num_classes})"
        )
    convert_batchnorm(body)
    with torch.random.fork_rng(devices=[]):  # of a head that is thrown away
        return GivenClassifier(body, head, channels, *seed)


def take_apart(model: nn.Module, name: str) -> tuple[nn.Module, nn.Linear]:
    """The module without its head, and the head, with a bias of 0 if it had none."""
    head = model.get_submodule(name)
    assert isinstance(head, nn.Linear), "`find_head` finds linear layers"
    model.set_submodule(name, nn.Identity())
    if head.bias is None:
        head.bias = nn.Parameter(head.weight.new_zeros(head.out_features))
    return model, head


def find_head(
    model: nn.Module, x: Float[Tensor, "B C H W"], name: str | None = None
) -> str:
    """The name of the linear layer whose output is what the model returns.

    Args:
        model: left as it is.
        x: a few images, in [0, 1].
        name: of the head, or of a part with it, where the user says so.

    Raises:
        ValueError: if the model cannot take the images, returns no logits, has no such
            layer, or has parts that infaug cannot train.
    """
    model = copy.deepcopy(model).eval()
    _refuse_unfit(model)
    calls: list[tuple[str, Tensor, Any]] = []
    handles = [
        part.register_forward_hook(
            lambda _, given, made, each=each: calls.append((each, given[0], made))
        )
        for each, part in model.named_modules()
        if isinstance(part, nn.Linear)
    ]
    logits = _called(model, x)
    for handle in handles:
        handle.remove()
    names = [
        each
        for each, given, made in calls
        if given.ndim == 2 and made.shape == logits.shape and made.equal(logits)
    ]
    wanted = [each for each in names if name is None or _is_in(each, name)]
    if not wanted:
        linear = ", ".join(dict.fromkeys(each for each, *_ in calls)) or "none"
        which = f"head={name!r}" if name else "no layer"
        raise ValueError(
            f"{which} is the last linear layer of the model: none whose output is what "
            f"the model returns is there; linear layers that were called: {linear}. "
            "Return the logits of an nn.Linear as they are, without softmax"
        )
    found = wanted[-1]
    if sum(each == found for each, *_ in calls) > 1:
        raise ValueError(f"the head {found!r} is called more than once for a batch")
    _check_body(model, found, x, logits)
    return found


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _called(model: nn.Module, x: Tensor) -> Tensor:
    shape = "x".join(str(side) for side in x.shape[1:])
    try:
        with torch.no_grad():
            logits = model(x)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        text = " ".join(str(error).split())[:200]
        raise ValueError(
            f"the model cannot take images of {shape} ({text}): give it others with "
            "data.image_size or data.mode ('L' has one channel, 'RGB' three)"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else "no tensor"
        raise ValueError(
            f"the model returns {shape}, not logits [images, classes]: give one that "
            "returns logits alone (of torchvision's, with aux_logits=False)"
        )
    return logits


def _refuse_unfit(model: nn.Module) -> None:
    places: dict[int, str] = {}
    for name, tensor in model.state_dict().items():
        place = tensor.untyped_storage().data_ptr()
        if tensor.numel() and place in places:
            raise ValueError(
                f"{name} and {places[place]} share their memory, which files of "
                "weights cannot hold: give the model weights of its own for each"
            )
        places[place] = name


def _check_body(model: nn.Module, head: str, x: Tensor, logits: Tensor) -> None:
    """That head and body make up the model, in training as well."""
    body, last = take_apart(model, head)
    with torch.no_grad():
        features = body(x)
        if features.ndim != 2 or not torch.allclose(last(features), logits, atol=1e-4):
            raise ValueError(
                f"the model does more with its head {head!r} than to return what that "
                "makes of the features: give one that ends with it"
            )
        convert_batchnorm(body).train()
        with torch.random.fork_rng(devices=[]):
            body(x)
    for name, part in body.named_modules():
        if isinstance(part, GroupedBatchNorm) and part.pending is None:
            raise ValueError(
                f"the model's layer {name!r} takes no part in what it returns: take it "
                "out"
            )
