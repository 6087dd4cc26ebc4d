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
from pathlib import Path

from infaug.cli.terminal import guarded
from infaug.config import (
    DataConfig,
    RoundsConfig,
    RunConfig,
    ShiftConfig,
    TransformConfig,
)
from infaug.data.source import load
from infaug.experiment.results import Results
from infaug.experiment.variants import Variant, run_variant, variants_table
from infaug.record.folder import RunFolder

# What every line but one has in common: the colours that were the default then.
COLOURS_THEN = TransformConfig(filter_strength=0.25, bias_strength=0.25)
RAW = {"influence.objective": "raw"}
WILD = RAW | {"estimator.restraint": 0.0, "estimator.tau_noise": 0.0}
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
        Variant(name="no restraint", changes={"estimator.restraint": 0.0}),
        Variant(name="no noise on tau", changes={"estimator.tau_noise": 0.0}),
        Variant(name="raw, no restraint, no noise", changes=WILD),
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
    source = None
    for seed in range(args.seeds):
        for variant in variants:
            training = variant.training(config, seed)
            if training in results or args.render:
                continue
            source = source or load(config.data)
            name = f"{training.method}-seed{seed}-{training.key}"
            folder = RunFolder(args.work / name)
            record = run_variant(training, source, folder, shown=True)
            results.add(record)
            top = record["development_top1"]
            print(f"{variant.name}, seed {seed}: {top:.2f} %", file=sys.stderr)
    print(variants_table(variants, config, args.seeds, results))
    return 0


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
