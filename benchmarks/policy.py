"""What a policy taught by influence is worth under shifts, with few target images.

Digits, 300 labels; target images are shifted, 30 of them have labels and drive, all
others test. Trainings have 300 steps. `pooled_*` and `even_*` train on the target
images, too; `*_tuned` choose their base by them. Every finished training is a line of
`--out`; a rerun goes on there. Prints a table of top-1 on the test images, %.

    python benchmarks/policy.py --out policy.jsonl --seeds 0 1 2
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
import tyro

from infaug.config import (
    InfluenceConfig,
    PolicyConfig,
    RoundsConfig,
    RunConfig,
)
from infaug.config.classifier import ClassifierConfig
from infaug.data.dataset import Labelled
from infaug.data.digits import digits
from infaug.data.problem import Splits
from infaug.data.shift import SHIFTS
from infaug.experiment.plan import resolve_config
from infaug.experiment.tuning import (
    candidates_for,
    choose,
    trial_config,
    trial_method,
    tuned_config,
)
from infaug.randomness import generator
from infaug.training.alternation import assess, run_alternation
from infaug.training.methods import METHODS, Method
from infaug.training.state import Training
from infaug.world import World

COMPARED = (
    "policy_online", "policy_learned", "policy_alone", "pooled_even", "pooled_uniform",
    "pooled_policy", "pooled_policy_alone", "pooled_stretched", "even_tuned",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    out: Path = Path("policy.jsonl")
    seeds: tuple[int, ...] = (0, 1, 2)
    shifts: tuple[str, ...] = tuple(SHIFTS)
    methods: tuple[str, ...] = COMPARED
    labels: int = 300
    target: int = 30
    rounds: RoundsConfig = field(
        default_factory=lambda: RoundsConfig(
            rounds=5, classifier_steps=60, estimator_steps=30, base="affine"
        )
    )
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    influence: InfluenceConfig = field(default_factory=InfluenceConfig)


class Unrecorded:
    """A logger that keeps nothing: every training is whole."""

    def left(self, round_: int, phase: str, num_steps: int) -> range:
        """All of a phase's steps."""
        return range(num_steps)

    def follow(
        self,
        round_: int,
        phase: str,
        steps: range,
        done: Iterable[object],
        state: Training,
    ) -> None:
        """Take the steps."""
        for _ in done:
            pass


def problem(
    whole: Labelled, shift: str, seed: int, num_labels: int, num_target: int
) -> Splits:
    """Labelled images as they are; target images, the same number a class, shifted."""
    order = torch.randperm(len(whole), generator=generator(seed, "policy benchmark"))
    train, rest = order[:num_labels], order[num_labels:]
    labels, per_class = whole.labels[rest], num_target // whole.num_classes
    is_target = F.one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    is_target = is_target <= per_class
    numbers = generator(seed, "policy benchmark", shift)
    x = SHIFTS[shift](whole.images[rest].float() / 255, numbers).clamp(0, 1)
    held = Labelled((255 * x).round().to(torch.uint8), labels, whole.class_names)
    driving = held.select(is_target.nonzero()[:, 0])
    return Splits(
        train=whole.select(train),
        influence=driving,
        selection=driving,  # Reported in metrics, and candidates are chosen by it.
        test=held.select((~is_target).nonzero()[:, 0]),
        unlabelled=whole.images[:0],
        bad=(),
    )


def trained(
    method: Method,
    seed: int,
    splits: Splits,
    config: RunConfig,
    policy: Training | None,
) -> Training:
    """One training, whole; `policy` is the training that learned the policy."""
    state = None
    if method.policy == "learned":
        assert policy is not None, "policy_online comes first"
        state = policy.policy.state_dict()
    cpu = torch.device("cpu")
    training = Training(method, seed, splits, config, World(), cpu, policy=state)
    run_alternation(training, splits, Unrecorded())  # pyright: ignore[reportArgumentType]
    return training


def tuned(seed: int, splits: Splits, config: RunConfig) -> RunConfig:
    """The config with the base that a short training of each candidate recommends."""
    found = {}
    for name in candidates_for(config.rounds.base):
        trial = trial_config(config, name)
        training = trained(trial_method(name), seed, splits, trial, None)
        score = assess(training, splits.selection)
        found[name] = {
            "selection_top1": score.accuracy,
            "selection_loss": score.loss,
        }
    return tuned_config(config, choose(found))


def measure(settings: Settings, shift: str, seed: int, config: RunConfig) -> None:
    """Train the methods that `out` does not hold yet."""
    key = {"shift": shift, "seed": seed}
    done = {r["method"] for r in records(settings) if key.items() <= r.items()}
    left = [name for name in settings.methods if name not in done]
    splits = problem(digits(), shift, seed, settings.labels, settings.target)
    learns = any(METHODS[name].policy == "learned" for name in left)
    if learns and "policy_online" not in left:
        left.insert(0, "policy_online")  # Its policy is not kept: train it again.
    policy = None
    for name in left:
        method = METHODS[name]
        used = tuned(seed, splits, config) if method.is_tuned else config
        training = trained(method, seed, splits, used, policy)
        if method.learns_policy:
            policy = training
        if name in done:
            continue
        score = assess(training, splits.test)
        record = key | {"method": name, "top1": score.accuracy}
        if method.learns_policy:
            record["shares"] = training.policy.shares()
        if method.is_tuned:
            record["base"] = used.rounds.base
        with settings.out.open("a") as file:
            file.write(json.dumps(record) + "\n")


def records(settings: Settings) -> list[dict[str, Any]]:
    """What `out` holds."""
    if not settings.out.exists():
        return []
    return [json.loads(line) for line in settings.out.read_text().splitlines()]


def report(settings: Settings) -> str:
    """Markdown: mean top-1 of each method and shift, and its seeds."""
    lines = [
        "| shift | " + " | ".join(settings.methods) + " |",
        "|---" * (len(settings.methods) + 1) + "|",
    ]
    tops: dict[tuple[str, str], list[float]] = {}
    for record in records(settings):
        at = record["shift"], record["method"]
        tops.setdefault(at, []).append(record["top1"])
    for shift in settings.shifts:
        found = [tops.get((shift, name), []) for name in settings.methods]
        trainings = (
            f"{mean(top):.1f} ({', '.join(f'{each:.1f}' for each in top)})"
            if top else ""
            for top in found
        )  # fmt: skip
        lines.append(f"| {shift} | " + " | ".join(trainings) + " |")
    return "\n".join(lines)


def main(settings: Settings) -> None:
    """Train what is missing, and print."""
    torch.set_num_threads(1)
    config = RunConfig(
        classifier=ClassifierConfig(precision="float32"),
        policy=settings.policy,
        influence=settings.influence,
        rounds=replace(settings.rounds, ledger_images=0),
    )
    config = resolve_config(config, (1, 16, 16), torch.device("cpu"))
    for seed in settings.seeds:
        for shift in settings.shifts:
            measure(settings, shift, seed, config)
    print(report(settings))


if __name__ == "__main__":
    main(tyro.cli(Settings))
