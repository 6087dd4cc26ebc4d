"""An exported folder, read: JSON and tensors, checked before they are used.

DIR/card.json               what it is, what came of it, settings, files; see `card`
DIR/augment.safetensors     E, G and the strength that was left of them, or a policy
DIR/classifier.safetensors  F
DIR/augment.pt2             the same as a torch.export program, if requested
DIR/augment.onnx            the same as ONNX, if requested
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from infaug.classify.named import name_network
from infaug.classify.network import ImageClassifier, build_classifier
from infaug.config import EstimatorConfig, PolicyConfig, TransformConfig, from_dict
from infaug.estimate.learned_transform import transform_of
from infaug.estimate.policy import policy_of
from infaug.export.view import GeneratorViews, PolicyViews
from infaug.state import fill

CARD = "card.json"
AUGMENT = "augment.safetensors"
CLASSIFIER = "classifier.safetensors"
FORMAT = "infaug export"
VERSION = 1
PARTS = ("image", "classifier", "files")

AGAIN = "export it again with `infaug export RUN --out DIR`"


def read_card(folder: Path) -> dict[str, Any]:
    """What `card.json` says.

    Raises:
        ValueError: if it is missing, no JSON, or no card that this version can read.
    """
    path = Path(folder) / CARD
    try:
        card = json.loads(_content(path))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no JSON ({error}): {AGAIN}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f"{path} is no card of an infaug export: {AGAIN}")
    if card.get("format_version") != VERSION:
        raise ValueError(
            f"{path} has format_version {card.get('format_version')}, this infaug "
            f"reads {VERSION}: install the infaug that wrote it, or {AGAIN}"
        )
    for name in PARTS:
        if not isinstance(card.get(name), dict):
            raise ValueError(f"{path} lacks {name!r}: {AGAIN}")
    return card


def read_views(folder: Path) -> tuple[GeneratorViews | PolicyViews, dict[str, Any]]:
    """What was learned, and the card.

    Raises:
        ValueError: if a file is missing or broken, or they do not fit together.
    """
    card = read_card(folder)
    where, weights = folder / CARD, folder / AUGMENT
    image, tensors = card["image"], _tensors(folder, AUGMENT, card)
    sizes = [_count(image, name, where) for name in ("channels", "height", "width")]
    if "policy" in card:
        settings = _settings(PolicyConfig, card, "policy", where)
        return PolicyViews(policy_of(settings, sizes[0], tensors, weights, AGAIN)), card
    settings = _settings(TransformConfig, card, "transform", where)
    estimator = _settings(EstimatorConfig, card, "estimator", where)
    transform = transform_of(settings, sizes, tensors, weights, AGAIN)
    return GeneratorViews(transform, estimator), card


def load_classifier(
    folder: str | Path, *, network: str | None = None
) -> ImageClassifier:
    """F as it was when its run ended, in evaluation mode: images in [0, 1] to logits.

    The names of the classes are `read_card(folder)["classifier"]["class_names"]`. Where
    F is a module of the user's, `network` must name it, as py:package.module:function.

    Raises:
        ValueError: if a file is missing or broken, or they do not fit together.
    """
    folder = Path(folder)
    card = read_card(folder)
    name_network(network)
    about, where = card["classifier"], folder / CARD
    names = about.get("class_names")
    if not isinstance(names, list) or not names:
        raise ValueError(f"{where}: classifier.class_names is no list: {AGAIN}")
    channels = _count(card["image"], "channels", where)
    classifier = build_classifier(about.get("network"), channels, len(names), 0)
    tensors = _tensors(folder, CLASSIFIER, card)
    fill(classifier, tensors, folder / CLASSIFIER, AGAIN)
    return classifier.eval().requires_grad_(False)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): give a folder that `infaug "
            "export` wrote"
        ) from error


def _tensors(folder: Path, name: str, card: Mapping[str, Any]) -> dict[str, Tensor]:
    path, about = folder / name, card["files"].get(name)
    content = _content(path)
    if not isinstance(about, dict) or "sha256" not in about:
        raise ValueError(f"{folder / CARD} does not list {name}: {AGAIN}")
    if sha256(content).hexdigest() != about["sha256"]:
        raise ValueError(
            f"{path} is not what was written ({len(content)} bytes, "
            f"{about.get('bytes')} then): copy it again, or {AGAIN}"
        )
    try:
        return load(content)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is no safetensors file ({error}): {AGAIN}") from error


def _settings(kind: type, card: Mapping[str, Any], part: str, where: Path) -> Any:
    if not isinstance(card.get(part), dict):
        raise ValueError(f"{where} lacks {part!r}: {AGAIN}")
    try:
        return from_dict(kind, card[part])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {part}: {error}") from error


def _count(about: Mapping[str, Any], name: str, where: Path) -> int:
    value = about.get(name)
    if not isinstance(value, int) or not 1 <= value <= 1 << 14:
        raise ValueError(f"{where}: image.{name} must be a count, got {value!r}")
    return value
