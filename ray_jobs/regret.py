"""Regret of the answer: points behind the best method in hindsight, over problems.

Digits (300 labels, 304 steps) and, with --mnist, MNIST (600 labels, 800 steps), as
trained and under six shifts, with 30 and 100 labelled target images. Each finished
problem is a line of OUT/results.jsonl; the same command goes on with those that lack.
About ten minutes of one CPU core a problem and seed of digits (measured), and a minute
and a half without the answer, which needs no folds: what the learned views are worth.

    python ray_jobs/regret.py --out runs/regret --seeds 2
    python ray_jobs/regret.py --out runs/worth --seeds 5 --target 30 --without-answer
    python ray_jobs/regret.py --out runs/regret --seeds 2 --mnist FOLDER
"""

import argparse
import sys
from pathlib import Path

from infaug.cli.terminal import guarded
from infaug.config import RoundsConfig
from infaug.experiment.regret import (
    ANSWER,
    UNLEARNED,
    Problem,
    solve,
    table,
    worth_table,
)
from infaug.record.journal import append_line, read_lines

SHIFTS = (
    "as trained", "rotated", "rotated, flat", "inverted, moved", "blurred, noisy",
    "clutter", "elastic",
)  # fmt: skip
LEARNED = ("pooled_policy", "pooled_policy_alone")
CONTROLS = (
    "pooled", "pooled_even", "pooled_uniform", "pooled_trivial", "pooled_tuned",
    "even_tuned", "pooled_stretched", "pooled_adapted",
)  # fmt: skip
METHODS = (
    "base", "pooled", "pooled_even", "pooled_trivial", "pooled_tuned", "even_tuned",
    "pooled_stretched", "adapted", "pooled_adapted", "late", "policy_online",
    "policy_alone", "pooled_uniform", "pooled_policy", "pooled_policy_alone",
)  # fmt: skip
DIGITS = RoundsConfig(rounds=8, classifier_steps=38, estimator_steps=30)
MNIST = RoundsConfig(rounds=8, classifier_steps=100, estimator_steps=30)


def main() -> int:
    """Solve what is left, printing the table after each problem."""
    args = parse(sys.argv[1:])
    kept = args.out / "results.jsonl"
    places = {"mnist": args.mnist} if args.mnist else {}
    problems = [
        Problem(name=name, shift=shift, labels=labels, target=target, rounds=rounds)
        for name, labels, rounds in (("digits", 300, DIGITS), ("mnist", 600, MNIST))
        for target in args.target
        for shift in args.shifts
        if name == "digits" or name in places
    ]
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for problem in problems:
            done = {(line["problem"], line["seed"]) for line in read_lines(kept)}
            if (problem.title, seed) not in done:
                found = solve(
                    problem, seed, METHODS, args.out, places, jobs=args.jobs,
                    answers=not args.without_answer,
                )  # fmt: skip
                append_line(kept, found)
                print(table(read_lines(kept)), end="\n\n", flush=True)
    print(table(read_lines(kept)))
    for learned in LEARNED:
        print("", worth_table(read_lines(kept), learned, CONTROLS), sep="\n")
    if not args.without_answer:
        print("", worth_table(read_lines(kept), ANSWER, [UNLEARNED]), sep="\n")
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/regret"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shifts", nargs="+", default=SHIFTS, choices=SHIFTS)
    parser.add_argument("--target", nargs="+", type=int, default=[30, 100])
    parser.add_argument("--mnist", help="MNIST as infaug reads it: a folder of Parquet")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--without-answer", action="store_true")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(guarded(main))
