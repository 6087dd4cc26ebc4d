"""Which reward ranks operations as training on them does?

For every operation and strength, alone: the mean score of its views under several
rewards, seen by one F, and what a new F reaches on the target after a short training on
that operation's views alone. Prints Spearman's rank correlation of the two for each
reward, by shift. Every finished training is a line of `--out`; a rerun goes on there.

    python benchmarks/reward.py --out reward.jsonl --seeds 0 1
    python benchmarks/reward.py --out reward.jsonl --mnist FOLDER --seeds 0
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch
import tyro
from rewards import all_rewards
from torch.nn.functional import one_hot

from infaug.config import DataConfig, PolicyConfig, RoundsConfig, RunConfig
from infaug.config.classifier import ClassifierConfig
from infaug.data.class_sizes import rank_in_class
from infaug.data.dataset import Labelled, to_float
from infaug.data.digits import digits
from infaug.data.problem import Splits
from infaug.data.shift import SHIFTS
from infaug.data.source import load
from infaug.estimate.policy import Policy, usable_operations
from infaug.experiment.plan import resolve_config
from infaug.influence.validate import agreement
from infaug.randomness import RandomNumbers, generator
from infaug.training.alternation import assess, run_alternation
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.transform.operations import OPERATIONS, WITHOUT_STRENGTH
from infaug.world import World

GREY = usable_operations(tuple(OPERATIONS), channels=1)
ONE_OF_ALL = PolicyConfig(operations=GREY, num_strengths=3, num_draws=1)
CHOICES = [
    (name, interval)
    for name in GREY
    for interval in ((1,) if name in WITHOUT_STRENGTH else (0, 1, 2))
]
NEVER = -1e4  # as a logit


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
    is_target = rank_in_class(labels) < per_class
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
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    out: Path = Path("reward.jsonl")
    seeds: tuple[int, ...] = (0, 1)
    shifts: tuple[str, ...] = (
        "rotated", "inverted, moved", "blurred, noisy", "clutter",
    )  # fmt: skip
    mnist: Path | None = None
    """MNIST as prepared; none: digits."""
    labels: int = 300
    target: int = 30
    judge_steps: int = 120
    """Of the F that scores, on views of the uniform policy."""
    steps: int = 150
    """Of the F that shows what an operation is worth."""


def picks(name: str, interval: int) -> Policy:
    """The policy that gives every image this operation, its strength in an interval."""
    policy = Policy(ONE_OF_ALL, channels=1)
    at = GREY.index(name) * ONE_OF_ALL.num_strengths + interval
    with torch.no_grad():
        policy.logits[:] = NEVER
        policy.logits[:, at] = 0
    return policy


def train_on(
    policy: Policy | None, seed: int, splits: Splits, config: RunConfig
) -> Training:
    """F, trained on views of this policy alone; None: the uniform one."""
    row = METHODS["uniform_alone" if policy is None else "policy_alone"]
    state = policy and policy.state_dict()
    cpu = torch.device("cpu")
    training = Training(row, seed, splits, config, World(), cpu, policy=state)
    run_alternation(training, splits, Unrecorded())  # pyright: ignore[reportArgumentType]
    training.classifier.eval()
    return training


def rewards_of(judge: Training, splits: Splits) -> list[dict[str, float]]:
    """For every choice: the mean of each reward over its views."""
    train, target = splits.train, splits.influence
    assert isinstance(train, Labelled), "they fit in memory"
    assert isinstance(target, Labelled), "they fit in memory"
    x, y = to_float(train.images), one_hot(train.labels, 10).float()
    x_val, y_val = to_float(target.images), one_hot(target.labels, 10).float()
    rng = RandomNumbers.of_size(len(x), judge.seed, "reward", device=judge.device)
    views = [picks(*choice)(x, rng.fork(*choice)) for choice in CHOICES]
    found: list[dict[str, float]] = [{} for _ in CHOICES]
    for name, reward in all_rewards(judge.classifier, x, y, x_val, y_val):
        for record, view in zip(found, views, strict=True):
            record[name] = reward(view, y)
    return found


def measure(
    settings: Settings, whole: Labelled, shift: str, seed: int, config: RunConfig
) -> None:
    """Rewards and results of every choice that `out` does not hold yet."""
    data = "mnist" if settings.mnist else "digits"
    key = {"data": data, "shift": shift, "seed": seed}
    known = [r for r in records(settings) if key.items() <= r.items()]
    done = {(r["operation"], r["interval"]) for r in known}
    if len(done) == len(CHOICES):
        return
    splits = problem(whole, shift, seed, settings.labels, settings.target)
    rounds = RoundsConfig(
        rounds=1, classifier_steps=settings.judge_steps, base="none", ledger_images=0
    )
    judging = replace(config, policy=PolicyConfig(operations=GREY), rounds=rounds)
    rewards = rewards_of(train_on(None, seed, splits, judging), splits)
    short = replace(rounds, classifier_steps=settings.steps)
    alone = replace(config, policy=ONE_OF_ALL, rounds=short)
    for choice, reward in zip(CHOICES, rewards, strict=True):
        if choice in done:
            continue
        training = train_on(picks(*choice), seed, splits, alone)
        found = assess(training, splits.test)
        record = key | {
            "operation": choice[0], "interval": choice[1], "top1": found.accuracy,
            "loss": found.loss, "rewards": reward,
        }  # fmt: skip
        with settings.out.open("a") as file:
            file.write(json.dumps(record) + "\n")


def mnist(folder: Path) -> Labelled:
    """The first images of MNIST's test split: a third of them is enough."""
    whole = load(DataConfig(source=str(folder))).test
    assert isinstance(whole, Labelled), "10,000 images fit in memory"
    return whole.select(torch.arange(3000))


def records(settings: Settings) -> list[dict]:
    """What `out` holds."""
    if not settings.out.exists():
        return []
    return [json.loads(line) for line in settings.out.read_text().splitlines()]


def report(settings: Settings) -> str:
    """Markdown: Spearman of each reward and top-1, mean over seeds, by problem."""
    seeds: dict[tuple[str, str], dict[int, list[dict]]] = {}
    for record in records(settings):
        problem_ = record["data"], record["shift"]
        seeds.setdefault(problem_, {}).setdefault(record["seed"], []).append(record)
    names = records(settings)[0]["rewards"]
    found = {
        name: [mean(spearman(name, choices) for choices in by_seed.values())
               for by_seed in seeds.values()]
        for name in names
    }  # fmt: skip
    lines = [
        "| reward | " + " | ".join(map(", ".join, seeds)) + " | mean |",
        "|---" * (len(seeds) + 2) + "|",
    ]
    for name, values in sorted(found.items(), key=lambda item: -mean(item[1])):
        trainings = [f"{value:.2f}" for value in (*values, mean(values))]
        lines.append(f"| {name} | " + " | ".join(trainings) + " |")
    return "\n".join(lines)


def spearman(name: str, choices: list[dict]) -> float:
    """Rank correlation of a reward and of what training on each choice reached."""
    rewards = torch.tensor([choice["rewards"][name] for choice in choices])
    tops = torch.tensor([choice["top1"] for choice in choices])
    return agreement(rewards, tops).spearman


def main(settings: Settings) -> None:
    """Measure what is missing, and print."""
    torch.set_num_threads(1)
    config = RunConfig(classifier=ClassifierConfig(precision="float32", batch_size=32))
    whole = digits() if settings.mnist is None else mnist(settings.mnist)
    config = resolve_config(config, whole.image_shape, torch.device("cpu"))
    for seed in settings.seeds:
        for shift in settings.shifts:
            measure(settings, whole, shift, seed, config)
    print(report(settings))


if __name__ == "__main__":
    main(tyro.cli(Settings))
