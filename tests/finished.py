"""A run folder as a finished run leaves it, without training anything."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from tiny import CONFIG

from infaug.classify.network import build_classifier
from infaug.config import RunConfig, TransformConfig
from infaug.estimate.learned_transform import LearnedTransform, build_transform
from infaug.estimate.policy import Policy
from infaug.experiment.summary import judge
from infaug.experiment.verdict import Verdict
from infaug.randomness import generator
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder

CLASSES = ("cat", "dog", "hen")

# By method and seed: what selection says is best is worst on test.
LOSSES = {"base": (0.5, 0.5), "base_learned": (0.4, 0.2), "pooled_learned": (0.3, 0.6)}
# Of a policy's methods, in experiments that have them.
POLICIES = {"policy_online": (0.1, 0.7), "pooled_policy": (0.8, 0.9)}


def run_config(methods: Iterable[str] = LOSSES, **transform) -> RunConfig:
    return replace(
        CONFIG,
        transform=TransformConfig(tau_size=8, **transform),
        classifier=replace(CONFIG.classifier, network="allconv"),
        rounds=replace(CONFIG.rounds, base="affine"),
        methods=tuple(methods),
        seeds=2,
    )


def finished_run(
    path: Path,
    channels: int = 1,
    given_up: tuple[str, ...] = (),
    methods: Mapping[str, tuple[float, float]] = LOSSES,
    **transform,
) -> Path:
    """Two seeds of methods with these selection losses, images of 16 px."""
    config = run_config(methods, **transform)
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.resolve(config)
    folder.match_data(
        {"classes": list(CLASSES), "image shape": [channels, 16, 16], "checksum": "0"}
    )
    for method, losses in methods.items():
        for seed, loss in enumerate(losses):
            classifier = build_classifier("allconv", channels, len(CLASSES), seed)
            weights = {"classifier": classifier.state_dict()}
            found = {"method": method, "seed": seed, "selection_loss": loss}
            found |= {"selection_top1": 90.0, "test_top1": 100 * loss}
            if "learned" in method:
                seeded = build_transform(
                    config.transform, channels, 16, 16, method, seed
                )
                weights["transform"] = seeded.state_dict()
                found["strength"] = 0.0 if method in given_up else 1.0
            if method in POLICIES:
                policy = Policy(config.policy, channels)
                torch.nn.init.normal_(policy.logits, generator=generator(method, seed))
                weights["policy"] = policy.state_dict()
            folder.training(method, seed).finish(weights, found)
    numbers = {"difference": -5.0, "low": -195.59, "high": 185.59, "num_seeds": 2}
    verdict = Verdict(
        word="no gain", method="pooled_learned", closest="base", **numbers,
        missing=("none", "base_random", "pooled", "base_tuned"),
    )  # fmt: skip
    records = {
        method: {k: folder.found(method, k) for k in range(2)} for method in methods
    }
    write_json(path / "result.json", judge(records) | {"verdict": verdict.to_dict()})
    return path


def trained_transform(run: Path, method: str, seed: int) -> LearnedTransform:
    """E and G as training had them."""
    folder = RunFolder(run)
    shape = json.loads((run / "data.json").read_text())["image shape"]
    transform = build_transform(folder.config().transform, *shape, 9)
    path = folder.training(method, seed).path / "transform.safetensors"
    transform.load_state_dict(load_file(path))
    return transform
