"""What a policy taught by influence is worth under shifts, with few target images.

Digits, 300 labels; target images are shifted, 30 of them have labels and drive, all
others test. Trainings have 300 steps. `pooled_*` train on the target images as half of
what F sees. Prints a table of top-1 on the test images, %, and a line of JSON.

    python benchmarks/policy.py --seeds 0 1 2
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import mean

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
from infaug.experiment.plan import settle
from infaug.randomness import generator
from infaug.training.alternation import assess, run_alternation
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

COMPARED = (
    "base", "uniform_policy", "policy_online", "policy_learned", "policy_alone",
    "pooled_even", "pooled_uniform", "pooled_policy", "pooled_policy_alone",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

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
    """A recorder that keeps nothing: every training is whole."""

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


def problem(shift: str, seed: int, settings: Settings) -> Splits:
    """Labelled images as they are; target images, the same number a class, shifted."""
    whole = digits()
    order = torch.randperm(len(whole), generator=generator(seed, "policy benchmark"))
    train, rest = order[: settings.labels], order[settings.labels :]
    labels, per_class = whole.labels[rest], settings.target // whole.num_classes
    is_target = F.one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    is_target = is_target <= per_class
    numbers = generator(seed, "policy benchmark", shift)
    x = SHIFTS[shift](whole.images[rest].float() / 255, numbers).clamp(0, 1)
    held = Labelled((255 * x).round().to(torch.uint8), labels, whole.class_names)
    driving = held.select(is_target.nonzero()[:, 0])
    return Splits(
        train=whole.select(train),
        influence=driving,
        selection=driving,  # Reported in metrics alone.
        test=held.select((~is_target).nonzero()[:, 0]),
        unlabelled=whole.images[:0],
        bad=(),
    )


def trained(
    method: str, seed: int, splits: Splits, config: RunConfig, policy: Training | None
) -> Training:
    """One training, whole; `policy` is the training that learned the policy."""
    row = METHODS[method]
    state = None
    if row.policy == "learned":
        assert policy is not None, "policy_online comes first"
        state = policy.policy.state_dict()
    cpu = torch.device("cpu")
    training = Training(row, seed, splits, config, World(), cpu, policy=state)
    run_alternation(training, splits, Unrecorded())  # pyright: ignore[reportArgumentType]
    return training


def main(settings: Settings) -> None:
    """Train every method under every shift, and print."""
    torch.set_num_threads(1)
    config = RunConfig(
        classifier=ClassifierConfig(precision="float32"),
        policy=settings.policy,
        influence=settings.influence,
        rounds=replace(settings.rounds, ledger_images=0),
    )
    config = settle(config, (1, 16, 16), torch.device("cpu"))
    began, found = time.perf_counter(), {}
    print("| shift | " + " | ".join(settings.methods) + " |", flush=True)
    print("|---" * (len(settings.methods) + 1) + "|")
    for shift in settings.shifts:
        tops: dict[str, list[float]] = {name: [] for name in settings.methods}
        for seed in settings.seeds:
            splits, policy = problem(shift, seed, settings), None
            for name in settings.methods:
                training = trained(name, seed, splits, config, policy)
                tops[name].append(assess(training, splits.test).accuracy)
                if name == "policy_online":
                    policy = training
            if policy is not None:
                shares = sorted(policy.policy.shares().items(), key=lambda s: -s[1])
                learned = ", ".join(f"{name} {share:.2f}" for name, share in shares[:5])
                print(f"<!-- {shift}, seed {seed}: {learned} -->", flush=True)
        found[shift] = tops
        trainings = (
            f"{mean(tops[name]):.1f} ({', '.join(f'{top:.1f}' for top in tops[name])})"
            for name in settings.methods
        )
        print(f"| {shift} | " + " | ".join(trainings) + " |", flush=True)
    seconds = round(time.perf_counter() - began)
    print(json.dumps({"top1": found, "seeds": settings.seeds, "seconds": seconds}))


if __name__ == "__main__":
    main(tyro.cli(Settings))
