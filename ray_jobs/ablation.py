"""What keeps learning stable, and what was tried to win in distribution.

Every line changes one setting of `base_learned`. Accuracy is that on development images
(training images whose labels are not used), so it may decide defaults; test images are
not looked at. Finished trainings are lines of --out and are skipped; an unfinished one
goes on from its last checkpoint.

    python ray_jobs/ablation.py --study stability        # digits, rotated 40 degrees
    python ray_jobs/ablation.py --study contrast         # the same, of contrast 0.4
    python ray_jobs/ablation.py --study in_distribution  # digits, used as they are
    python ray_jobs/ablation.py --data FOLDER --labels 600 --target 100

Cost: half a minute a training on one CPU core for digits, two minutes for MNIST
(measured).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from infaug.cli.compare import run_missing, scored
from infaug.cli.terminal import guarded
from infaug.config import (
    DataConfig,
    RoundsConfig,
    RunConfig,
    ShiftConfig,
    TransformConfig,
    changed,
)
from infaug.data.images import Source
from infaug.data.problem import Splits, altered, divide, positions
from infaug.experiment.table_plan import Record, Results, TableTraining, plan_table
from infaug.experiment.table_training import images_of, record_of, train_in
from infaug.experiment.verdict import compare
from infaug.randomness import generator
from infaug.record.folder import RunFolder

MAX_IMAGES = 5000  # whose labels are not used


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A method with some settings changed; `changes` maps `part.field` to a value."""

    name: str
    method: str = "base_learned"
    changes: Mapping[str, Any]


# What every line but one has in common: the colours that were the default then.
COLOURS_THEN = TransformConfig(filter_strength=0.25, bias_strength=0.25)
RAW = {"influence.objective": "raw"}
WILD = RAW | {"estimator.field_penalty": 0.0, "estimator.tau_noise": 0.0}
UNWATCHED = {"backoff.least_accuracy": 0.0, "backoff.most_saturation": 1.0}
WEAKER = {
    "transform.matrix_strength": 0.4,
    "transform.filter_strength": 0.125,
    "transform.bias_strength": 0.125,
}
BOLDER = {"transform.filter_strength": 0.5, "transform.bias_strength": 0.5}
BOLDEST = {"transform.filter_strength": 0.75, "transform.bias_strength": 0.6}
COLOURS = (
    Variant(name="colours up to 0.5", changes=BOLDER),
    Variant(name="colours up to 0.75, bias 0.6", changes=BOLDEST),
)
DEFAULT = Variant(name="default", changes={})
BASE = Variant(name="base", method="base", changes={})
RANDOM = Variant(name="random tau, initial G", method="base_random_initial", changes={})
STUDIES = {
    "stability": (
        DEFAULT,
        BASE,
        RANDOM,
        Variant(name="raw influence", changes=RAW),
        Variant(name="no field penalty", changes={"estimator.field_penalty": 0.0}),
        Variant(name="no noise on tau", changes={"estimator.tau_noise": 0.0}),
        Variant(name="raw, no field penalty, no noise", changes=WILD),
        Variant(name="the same, never backed off", changes=WILD | UNWATCHED),
        Variant(name="tau dropout 0.5", changes={"estimator.tau_dropout": 0.5}),
        Variant(name="flow unbounded", changes={"transform.flow_bound": None}),
        Variant(name="fields half as strong", changes=WEAKER),
        Variant(name="half of the images", changes={"estimator.probability": 0.5}),
        Variant(name="warm-up of 4 rounds", changes={"estimator.warmup_rounds": 4}),
        *COLOURS,
    ),
    "contrast": (DEFAULT, BASE, RANDOM, *COLOURS),
    "in_distribution": (
        DEFAULT,
        BASE,
        RANDOM,
        Variant(name="half of the images", changes={"estimator.probability": 0.5}),
        Variant(name="warm-up of 4 rounds", changes={"estimator.warmup_rounds": 4}),
        Variant(name="fields half as strong", changes=WEAKER),
        *COLOURS,
    ),
}
SHIFTS = {
    "stability": ShiftConfig(rotate_deg=40),
    "contrast": ShiftConfig(rotate_deg=40, contrast=0.4, brightness=0.2),
    "in_distribution": ShiftConfig(),
}
DIGITS = RoundsConfig(rounds=8, classifier_steps=60, estimator_steps=30)
SMOKE = RoundsConfig(rounds=2, classifier_steps=6, estimator_steps=4)


def main() -> int:
    """Run what is missing, then print the table."""
    args = parse(sys.argv[1:])
    results, variants = Results(args.out), STUDIES[args.study]
    if args.only:
        variants = [v for v in variants if v.name in ("default", *args.only)]
    config = problem(args)
    if not args.render:
        wanted = [(changed(config, v.changes), v.method) for v in variants]
        run_missing(
            plan_table(wanted, args.seeds),
            results,
            partial(run_variant, work=args.work),
            describe=partial(scored, name="development_top1"),
        )
    print(table(variants, config, args.seeds, results))
    return 0


def run_variant(training: TableTraining, work: Path, *, shown: bool) -> Record:
    """Train a variant, or continue it in its folder, and assess it."""
    name = f"{training.method}-seed{training.seed}-{training.key}"
    folder, (source, _) = RunFolder(work / name), images_of(training.stands_for[0], {})
    resolved = train_in(folder, training, source, shown=shown, splits_of=develop)
    record = record_of(training, folder, source, resolved)
    on_development = {f"development_{n}": record[f"test_{n}"] for n in ("top1", "loss")}
    kept = {k: v for k, v in record.items() if not k.startswith("test_")}
    return kept | on_development


def develop(source: Source, config: DataConfig, seed: int) -> Splits:
    """The splits of a seed, development images in the place of test images.

    Raises:
        ValueError: if `config.labels` leaves no image over.
    """
    splits = divide(source, config, seed)
    at = positions(source, config, seed).unlabelled
    if len(at) == 0:
        raise ValueError(
            "data.labels uses every training image: lower it, what is left over is "
            "what variants are compared on"
        )
    seeded = replace(config, seed=config.seed + seed)
    shuffle = generator(seeded.seed, "development")
    order = torch.randperm(len(at), generator=shuffle)
    images = source.train.select(at[order[:MAX_IMAGES]])
    return replace(splits, test=altered(images, "test", seeded))


def table(
    variants: Sequence[Variant], config: RunConfig, seeds: int, results: Results
) -> str:
    """Markdown: each variant's accuracy, and its difference to the first one.

    Mean and standard deviation over seeds; the difference is paired by seed, with its
    95 % interval. A variant without all of its seeds is `not run`.
    """
    first = variants[0].name
    lines = [f"| | development top-1 | against {first} |", "|---|---|---|"]
    tops: dict[str, list[float]] = {}
    for variant in variants:
        name, settings = variant.name, changed(config, variant.changes)
        found = results.by_seed(variant.method, settings, seeds)
        if len(found) < seeds:
            lines.append(f"| {name} | not run | |")
            continue
        tops[name] = [record["development_top1"] for record in found.values()]
        spread = f" ± {stdev(tops[name]):.1f}" if seeds > 1 else ""
        against = _against(first, name, tops)
        lines.append(f"| {name} | {mean(tops[name]):.1f}{spread} | {against} |")
    return "\n".join(lines)


def _against(first: str, name: str, tops: Mapping[str, list[float]]) -> str:
    if name == first or first not in tops:
        return ""
    c = compare(name, first, tops)
    interval = f" ({c.low:+.1f} to {c.high:+.1f})" if c.num_seeds > 1 else ""
    return f"{c.difference:+.1f}{interval}"


def problem(args: argparse.Namespace) -> RunConfig:
    """The data, and the study's shift."""
    shift = SHIFTS[args.study]
    data = DataConfig(
        source=args.data,
        labels=args.labels,
        target=args.target or (200 if shift.is_identity else 60),
        shift=shift,
    )
    rounds = DIGITS if args.data == "digits" else RoundsConfig()
    rounds = SMOKE if args.smoke else rounds
    return RunConfig(data=data, rounds=rounds, transform=COLOURS_THEN)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", choices=list(STUDIES), default="stability")
    parser.add_argument("--data", default="digits", help="as `infaug fit --data`")
    parser.add_argument("--labels", type=float, default=300)
    parser.add_argument("--target", type=float, help="60 if shifted, else 200")
    parser.add_argument("--only", nargs="+", help="names of variants, as in the table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/results/ablation.jsonl"))
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--render", action="store_true", help="run nothing, only print")
    parser.add_argument("--smoke", action="store_true", help="few steps, one seed")
    args = parser.parse_args(argv)
    if args.smoke:
        args.seeds = 1
    return args


if __name__ == "__main__":
    sys.exit(guarded(main))
