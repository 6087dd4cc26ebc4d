"""The card: what an artefact is, what came of it, and how to use it."""

import platform
from importlib.metadata import version
from typing import Any

from infaug.config import to_dict
from infaug.experiment.finished import FinishedTraining, data_of
from infaug.export.artefact import FORMAT, VERSION
from infaug.record.atomic import read_json
from infaug.record.folder import LOOKS_FILE, RunFolder
from infaug.training.views import base_of

UNSTATED = (
    "not stated: the weights were learned from the images under `data`, whose terms "
    "may bind them"
)
TAU = (
    "what the transformation G does to an image, as numbers without names. The "
    "estimator E reads tau off the image, each entry in (-1, 1); noise of standard "
    "deviation `estimator.tau_noise` is added, drawn anew for every view. G turns it "
    "into a flow and a colour filter. Entries have no meaning of their own, and no two "
    "runs share them"
)
HOW_TO_LOAD = (
    "augment = infaug.export.LearnedAugment.load(DIR)   # a torchvision v2 transform",
    "images = augment(images)                           # uint8 or [0, 1], CHW or BCHW",
    "classifier = infaug.export.load_classifier(DIR)    # logits = classifier(images)",
)


def write_card(
    chosen: FinishedTraining,
    *,
    licence: str | None,
    files: dict[str, dict[str, Any]],
    programs: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """The card of a training.

    Args:
        chosen: the training.
        licence: of the artefact; None: not stated.
        files: size and hash of each file of weights.
        programs: what other forms of the transform take, and how far they differ.
    """
    folder, config = chosen.folder, chosen.config
    result = folder.result() or {}
    data = data_of(folder)
    channels, height, width = data["image shape"]
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "what": f"a learned augmentation: {_what(chosen)}, and the classifier F that "
        "was trained with it",
        "licence": licence or UNSTATED,
        "training": {
            "name": chosen.name,
            "method": chosen.method.name,
            "seed": chosen.seed,
            "chosen_by": chosen.how,
        },
        "answer": result.get("answer"),
        "verdict": result.get("verdict"),
        "comparisons": result.get("comparisons", []),
        "methods": result.get("methods", {}),
        "of_this_training": {
            key: value
            for key, value in chosen.found.items()
            if key.startswith(("selection_", "test_")) or key == "strength"
        },
        "looks": looks_in(folder, chosen.method.name),
        "image": {
            "channels": channels,
            "height": height,
            "width": width,
            "range": [0, 1],
            "other_sizes": "E sees the image scaled to this size; fields are made at "
            "this size and interpolated to the image's",
        },
        "used_after": base_of(chosen.method, config.rounds.base)
        if chosen.method.learns_on_base
        else "none",
        **_learned(chosen),
        "classifier": {
            "network": config.classifier.network,
            "class_names": list(data["classes"]),
            "input": "float images in [0, 1]; normalisation is part of the network",
        },
        "data": data | {"source": config.data.source},
        "how_to_load": list(HOW_TO_LOAD),
        "programs": programs,
        "files": files,
        "versions": {name: version(name) for name in ("infaug", "torch", "torchvision")}
        | {"python": platform.python_version()},
        "run": to_dict(config),
    }


def _what(chosen: FinishedTraining) -> str:
    if chosen.method.policy is None:
        return "x_aug = G(x, E(x) + noise)"
    return (
        f"a policy that puts each image through {chosen.config.policy.num_draws} "
        "operations, drawn with their strengths"
    )


def _learned(chosen: FinishedTraining) -> dict[str, Any]:
    """What the weights are of; of a policy, how often it draws each operation, too."""
    config = chosen.config
    if chosen.method.policy is not None:
        return {"policy": to_dict(config.policy), "shares": chosen.policy().shares()}
    return {
        "tau": TAU,
        "transform": to_dict(config.transform),
        "estimator": to_dict(config.estimator),
    }


def looks_in(folder: RunFolder, method: str) -> dict[str, Any] | None:
    """How views of a method look beside target images, as measured at the end.

    With a `warning` where they moved away from use; None if the run did not look.
    """
    looks = read_json(folder.path / LOOKS_FILE)
    if looks is None or method not in looks["methods"]:
        return None
    return {"of_seed": looks["seed"], **looks["methods"][method]}
