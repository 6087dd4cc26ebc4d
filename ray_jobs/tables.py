"""The README's MNIST tables: 600 labels, five kinds of use, training by training.

Every training (a method, a problem, a seed) is one thread's work of a minute or two and
is appended to a file of JSON lines when it ends. The same command again continues: what
is in the file is skipped, an unfinished training goes on from its last checkpoint.
Methods that do not look at target images are trained once for all target budgets.

    python ray_jobs/tables.py --data FOLDER --workers 2
    python ray_jobs/tables.py --data FOLDER --tables rotate --methods base --seeds 5
    python ray_jobs/tables.py --render          # what is finished, as Markdown

`--workers 0` runs in this process, without Ray; a cluster is joined where RAY_ADDRESS
names one, with FOLDER, --out and --work on a disk that all nodes see. Papers, 1 % of
the labels, in distribution: none 90.2, heuristic 95.9, proposed 96.7 (Lee et al., ICLR
2019 submission). Cost: 77 trainings a seed, about four hours for three seeds on 2 CPU
cores (an estimate); `--tables in_distribution rotate rotate_contrast` takes half of
that.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from infaug.cli.compare import run_missing
from infaug.cli.terminal import guarded
from infaug.config import DataConfig, RoundsConfig, RunConfig, ShiftConfig
from infaug.experiment.summary import gap_closed, statistics
from infaug.experiment.table_plan import Column, Record, Results, plan_table, ready
from infaug.experiment.table_training import run_table_training
from infaug.experiment.verdict import CONTROLS_OF, best_random, tops_of, verdict
from infaug.report.verdict import describe
from infaug.training.methods import METHODS, RANDOM_METHODS, RIVALS, SIBLINGS, USUAL

COMMAND = "python ray_jobs/tables.py --data FOLDER"
LABELS = {
    "base_random_initial": "&nbsp;&nbsp;through the initial G",
    "base_random_final": "&nbsp;&nbsp;through the final G",
}
SMOKE = RoundsConfig(rounds=2, classifier_steps=10, estimator_steps=5)
IN_DISTRIBUTION = tuple(each for each in USUAL if each != "oracle")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Methods by problems; `name` is what a command calls it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    methods: tuple[str, ...]


def problem(target: int, shift: ShiftConfig) -> Column:
    """600 labels, and `target` labelled images of a use that differs by `shift`."""
    data = DataConfig(source="mnist", labels=600, target=target, shift=shift)
    return Column(title=f"N = {target:,}", config=RunConfig(data=data))


def shifted(name: str, what: str, shift: ShiftConfig) -> Table:
    """All methods on use that differs by `shift`, with few and many target images."""
    return Table(
        name=name,
        title=f"MNIST, 600 labels, used on images {what}; N of them labelled",
        columns=(problem(100, shift), problem(1000, shift)),
        methods=USUAL,
    )


TABLES = (
    Table(
        name="in_distribution",
        title="MNIST, 600 labels, used on images like those; N held out to drive",
        columns=(problem(1000, ShiftConfig()),),
        methods=IN_DISTRIBUTION,
    ),
    shifted("rotate", "rotated by 40 degrees", ShiftConfig(rotate_deg=40)),
    shifted(
        "rotate_contrast",
        "rotated by 40 degrees, contrast 0.4, brightness +0.2",
        ShiftConfig(rotate_deg=40, contrast=0.4, brightness=0.2),
    ),
    shifted("translate", "moved by 4 pixels", ShiftConfig(translate_px=4)),
    shifted("contrast", "of contrast 0.4", ShiftConfig(contrast=0.4)),
)


def main() -> int:
    """Run what is missing, then print the tables."""
    args = parse(sys.argv[1:])
    tables = [table for table in TABLES if table.name in args.tables]
    if args.smoke:
        tables = [smoke(table, args.data) for table in tables]
    results = Results(args.out)
    if not args.render:
        wanted = [
            (column.config, method)
            for table in tables
            for column in table.columns
            for method in args.methods or table.methods
            if method in (*table.methods, *SIBLINGS)
        ]
        name = tables[0].columns[0].config.data.source
        places = {name: args.data}
        run_missing(
            plan_table(wanted, args.seeds),
            results,
            partial(run_table_training, work=args.work.absolute(), places=places),
            workers=args.workers,
            gpus=args.gpus,
            ready=ready,
        )
    for table in tables:
        others = [
            method
            for method in SIBLINGS
            if any(results.by_seed(method, c.config, args.seeds) for c in table.columns)
        ]
        shown = replace(table, methods=(*table.methods, *others))
        print(markdown(shown, results, args.seeds), end="\n\n", flush=True)
    return 0


def smoke(table: Table, source: str) -> Table:
    """The first column with few steps; any data will do."""
    config = table.columns[0].config
    data = replace(config.data, source=Path(source).name, labels=300, target=100)
    config = replace(config, data=data, rounds=SMOKE)
    return replace(table, columns=(Column(title="smoke", config=config),))


Found = dict[str, dict[int, Record]]  # by method and seed


def markdown(table: Table, results: Results, seeds: int) -> str:
    """A table with mean and spread, verdicts, shares of the gap, and its command.

    Only trainings of the first `seeds` seeds count. A verdict compares methods that
    have all of them.
    """
    found = [
        {name: results.by_seed(name, column.config, seeds) for name in table.methods}
        for column in table.columns
    ]
    titles = [column.title for column in table.columns]
    lines = [f"### {table.title}", "", *_lines(table, titles, found, seeds), ""]
    lines.append(
        f"Mean and standard deviation of top-1 on test over {seeds} paired seeds, "
        "percent."
    )
    lines += ["", *_sentences(titles, found, seeds)]
    command = f"{COMMAND} --tables {table.name} --seeds {seeds}"
    lines += ["", "```", command, "```"]
    missing = [m for m in table.methods if any(len(c[m]) < seeds for c in found)]
    if missing:
        again = f"{command} --methods {' '.join(missing)}"
        lines += ["", "Not run, or not for all seeds:", "", "```", again, "```"]
    return "\n".join(lines)


def _lines(
    table: Table, titles: list[str], found: list[Found], seeds: int
) -> list[str]:
    lines = [f"| method | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    columns = {m: [column[m] for column in found] for m in table.methods}
    for method, records in columns.items():
        if method == RANDOM_METHODS[0] and RANDOM_METHODS[1] in table.methods:
            best = [best_random(column) for column in found]
            lines.append(_line("`base_random`", best, seeds))
        lines.append(_line(LABELS.get(method, f"`{method}`"), records, seeds))
    return lines


def _line(label: str, columns: Sequence[Mapping[int, Record]], seeds: int) -> str:
    return f"| {label} | {' | '.join(_entry(c, seeds) for c in columns)} |"


def _entry(records: Mapping[int, Record], seeds: int) -> str:
    if not records:
        return "not run"
    values = [record["test_top1"] for record in records.values()]
    numbers = statistics(values)
    spread = "" if numbers["std"] is None else f" ± {numbers['std']:.1f}"
    part = "" if len(values) == seeds else f" ({len(values)} of {seeds} seeds)"
    return f"{numbers['mean']:.1f}{spread}{part}"


def _sentences(titles: list[str], found: list[Found], seeds: int) -> list[str]:
    lines = []
    for title, column in zip(titles, found, strict=True):
        tops = {m: tops for m, tops in tops_of(column).items() if len(tops) == seeds}
        learned = [name for name in CONTROLS_OF if name in tops]
        for method in learned:
            ours = set(learned) - set(RIVALS) - {method}
            others = {k: v for k, v in tops.items() if k not in ours}
            lines.append(f"- {title}: {describe(verdict(others))}.")
        values = {name: list(by_seed.values()) for name, by_seed in tops.items()}
        if closed := gap_closed(values):
            parts = ", ".join(f"{name} {share:.0f} %" for name, share in closed.items())
            lines.append(f"- {title}: share of the gap from base to oracle: {parts}.")
        tuned = column.get("base_tuned", {}).values()
        if chosen := ", ".join(f"`{record['base']}`" for record in tuned):
            lines.append(f"- {title}: base_tuned chose {chosen}.")
    return lines or ["- no method has all seeds yet."]


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    names = [table.name for table in TABLES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder with MNIST's train and test.parquet")
    parser.add_argument("--tables", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--methods", nargs="+", choices=list(METHODS), help="only these"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--workers", type=int, default=0, help="trainings at a time on Ray"
    )
    parser.add_argument("--gpus", type=float, default=0, help="GPUs for each of them")
    parser.add_argument("--out", type=Path, default=Path("docs/results/mnist.jsonl"))
    parser.add_argument("--work", type=Path, default=Path("runs/tables"))
    parser.add_argument("--render", action="store_true", help="run nothing, only print")
    parser.add_argument("--smoke", action="store_true", help="few steps, one seed")
    args = parser.parse_args(argv)
    if args.data is None and not args.render:
        parser.error("--data is needed: `infaug data prepare mnist FOLDER` makes it")
    if args.data == "digits" and not args.smoke:
        parser.error("these are tables of MNIST: other data would be mistaken for it")
    if args.smoke:
        args.seeds, args.tables = 1, args.tables[:2]
    return args


if __name__ == "__main__":
    sys.exit(guarded(main))
