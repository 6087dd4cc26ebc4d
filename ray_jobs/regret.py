r"""Regret of the answer: points behind the best method in hindsight, over problems.

Digits (300 labels, 304 steps) and, where their folders are given, MNIST (600 labels,
800 steps) and CIFAR-10 (1,000 labels, 800 steps), as trained and under six shifts, with
30 and 100 labelled target images. Two further corruptions that no operation makes
(`--shifts fog motion`) were looked at last. Each finished problem is a line of
OUT/results.jsonl; the same command goes on with those that lack. About ten minutes of
one CPU core a problem and seed of digits (measured), and a minute and a half without
the answer, which needs no folds: what the learned views are worth.

    python ray_jobs/regret.py --out runs/regret --seeds 2
    python ray_jobs/regret.py --out runs/worth --seeds 5 --target 30 --without-answer
    python ray_jobs/regret.py --out runs/regret --seeds 2 --data mnist=FOLDER
    python ray_jobs/regret.py --out runs/regret --data cifar10=FOLDER \
        --shifts "as trained"
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from regret_problems import ANSWER, LAST, UNLEARNED, Problem, solve

from infaug.cli.compare import run_missing
from infaug.cli.places import places_of
from infaug.cli.terminal import guarded
from infaug.config import RoundsConfig
from infaug.experiment.table_plan import Record, Results
from infaug.experiment.verdict import half_width
from infaug.record.journal import read_lines

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
SHORT = RoundsConfig(rounds=8, classifier_steps=38, estimator_steps=30)
LONG = RoundsConfig(rounds=8, classifier_steps=100, estimator_steps=30)
# Number of labelled images, and how long F is trained.
DATA = {"digits": (300, SHORT), "mnist": (600, LONG), "cifar10": (1000, LONG)}


def main() -> int:
    """Solve what is left, printing the table after each problem."""
    args = parse(sys.argv[1:])
    places = places_of(args.data)
    if unknown := sorted(set(places) - set(DATA)):
        known = ", ".join(f"{name}=FOLDER" for name in DATA if name != "digits")
        raise ValueError(f"--data {unknown[0]}: give some of digits, {known}")
    problems = [
        Problem(name=name, shift=shift, labels=labels, target=target, rounds=rounds)
        for name, (labels, rounds) in DATA.items()
        for target in args.target
        for shift in args.shifts
        if name in places
    ]
    of_title = {problem.title: problem for problem in problems}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    kept = args.out / "results.jsonl"

    def work(job: tuple[str, int], *, shown: bool) -> Record:
        return solve(
            of_title[job[0]], job[1], METHODS, args.out, places,
            jobs=args.jobs, answers=not args.without_answer, shown=shown,
        )  # fmt: skip

    run_missing(
        [(title, seed) for seed in seeds for title in of_title],
        Results(kept, lambda record: (record["problem"], record["seed"])),
        work,
        describe=lambda _: f"\n{table(read_lines(kept))}\n",
    )
    records = read_lines(kept)
    print("", regret_table(records), sep="\n")
    for learned in LEARNED:
        print("", worth_table(records, learned, CONTROLS), sep="\n")
    if not args.without_answer:
        for controls in ([UNLEARNED], CONTROLS):
            print("", worth_table(records, ANSWER, controls), sep="\n")
    return 0


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: accuracy on the rest by problem and seed, percent."""
    methods = list(records[0]["accuracy"])
    lines = [f"| problem, seed | {' | '.join(methods)} | {ANSWER} |"]
    lines.append("|---" * (len(methods) + 2) + "|")
    for record in records:
        scores = [f"{record['accuracy'][name]:.1f}" for name in methods]
        if chosen := record.get("answer"):
            scores.append(f"{record['answers'][ANSWER]:.1f} ({chosen})")
        name = f"{record['problem']}, {record['seed']}"
        lines.append(f"| {name} | {' | '.join(scores)} |")
    return "\n".join(lines)


def regret_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: regret by method, and apart by data, number of target images and seed.

    Regret is how many points a method is behind the best of all on that problem and
    seed; its 95 % interval is Student's over problems and seeds. Apart, as a rule that
    was chosen by some of the problems is judged by the others.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        data, *_, target = record["problem"].split(", ")
        groups.setdefault(f"{data} {target}, seed {record['seed']}", []).append(record)
    apart = {title: regrets_of(group) for title, group in groups.items()}
    columns = [f"{title}: mean (worst)" for title in apart]
    lines = [f"| method | {' | '.join(columns)} | all: mean | 95 % interval | worst |"]
    lines.append("|---" * (len(columns) + 4) + "|")
    regrets = regrets_of(records)
    for name in sorted(regrets, key=lambda each: float(np.mean(regrets[each]))):
        cells = [
            f"{np.mean(of[name]):.2f} ({max(of[name]):.1f})" for of in apart.values()
        ]
        values = regrets[name]
        mean, half = float(np.mean(values)), half_width(values)
        cells += [f"{mean:.2f}", f"{mean - half:.1f} to {mean + half:.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {max(values):.1f} |")
    return "\n".join(lines)


def worth_table(
    records: Sequence[Mapping[str, Any]], learned: str, controls: Sequence[str]
) -> str:
    """Markdown: by problem, a learned method against the control that is best there.

    Means over seeds; differences are paired by seed, those of the last line by problem,
    with Student's 95 % interval.
    """
    lines = [f"| problem | {learned} | best control | difference | seeds |"]
    lines.append("|---" * 5 + "|")
    means = []
    for problem in dict.fromkeys(record["problem"] for record in records):
        found = [_scores(r) for r in records if r["problem"] == problem]
        best = max(controls, key=lambda name: sum(scores[name] for scores in found))
        ahead = [scores[learned] - scores[best] for scores in found]
        ours, theirs = (
            float(np.mean([scores[name] for scores in found]))
            for name in (learned, best)
        )
        means.append(float(np.mean(ahead)))
        lines.append(
            f"| {problem} | {ours:.1f} | {theirs:.1f} ({best}) | {_mean(ahead)} | "
            f"{len(found)} |"
        )
    lines.append(f"| mean | | | {_mean(means)} | |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    if len(values) == 1:
        return f"{mean:+.1f}"
    half = half_width(values)
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def regrets_of(records: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Points behind the best method, by method and for the answer, one value a record.

    That of the answer is negative where an average is ahead of all methods.

    >>> answers, accuracy = {"the answer": 92.5}, {"a": 90.0, "b": 92.0}
    >>> regrets_of([{"answers": answers, "accuracy": accuracy}])
    {'a': [2.0], 'b': [0.0], 'the answer': [-0.5]}
    """
    regrets: dict[str, list[float]] = {}
    for record in records:
        best = max(record["accuracy"].values())
        for name, score in _scores(record).items():
            regrets.setdefault(name, []).append(best - score)
    return regrets


def _scores(record: Mapping[str, Any]) -> dict[str, float]:
    return {**record["accuracy"], **record.get("answers", {})}


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/regret"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shifts", nargs="+", default=SHIFTS, choices=(*SHIFTS, *LAST))
    parser.add_argument("--target", nargs="+", type=int, default=[30, 100])
    parser.add_argument("--data", nargs="+", default=["digits"], help="or NAME=FOLDER")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--without-answer", action="store_true")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(guarded(main))
