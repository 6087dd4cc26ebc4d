"""The README's MNIST tables: 600 labels, five kinds of use, training by training.

Every training (a row, a problem, a seed) is one thread's work of a minute or two and is
appended to a file of JSON lines when it ends. The same command again continues: what is
in the file is skipped, an unfinished training goes on from its last checkpoint. Rows
that do not look at target images are trained once for all target budgets.

    python ray_jobs/tables.py --data FOLDER --workers 2
    python ray_jobs/tables.py --data FOLDER --tables rotate --methods base pooled
    --seeds 5 python ray_jobs/tables.py --data FOLDER --methods mixup trivial
    trivial_learned python ray_jobs/tables.py --render          # what is finished, as
    Markdown

`--workers 0` runs in this process, without Ray; a cluster is joined where RAY_ADDRESS
names one, with FOLDER, --out and --work on a disk that all nodes see. Papers, 1 % of
the labels, in distribution: none 90.2, heuristic 95.9, proposed 96.7 (Lee et al., ICLR
2019 submission). Cost: 77 trainings a seed, about four hours for three seeds on 2 CPU
cores (an estimate); `--tables in_distribution rotate rotate_contrast` takes half of
that.
"""

import argparse
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from infaug.cli.compare import run_missing
from infaug.cli.terminal import guarded
from infaug.config import DataConfig, RoundsConfig, RunConfig, ShiftConfig
from infaug.experiment.grid import Column, Table, grid_training, work_of
from infaug.experiment.grid_run import Site
from infaug.experiment.results import Results
from infaug.report.tables import grid_markdown
from infaug.training.methods import METHODS, SIBLINGS, USUAL

COMMAND = "python ray_jobs/tables.py --data FOLDER"
SMOKE = RoundsConfig(rounds=2, classifier_steps=10, estimator_steps=5)
IN_DISTRIBUTION = tuple(row for row in USUAL if row != "oracle")


def problem(target: int, shift: ShiftConfig) -> Column:
    """600 labels, and `target` labelled images of a use that differs by `shift`."""
    data = DataConfig(source="mnist", labels=600, target=target, shift=shift)
    return Column(title=f"N = {target:,}", config=RunConfig(data=data))


def shifted(name: str, what: str, shift: ShiftConfig) -> Table:
    """All rows on use that differs by `shift`, with few and many target images."""
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
        wanted = [extended(table, args.methods or ()) for table in tables]
        name = tables[0].columns[0].config.data.source
        run_missing(
            work_of(wanted, args.methods, args.seeds),
            results,
            Site(work=args.work.absolute(), places={name: args.data}),
            workers=args.workers,
            gpus=args.gpus,
        )
    for table in tables:
        shown = extended(table, found_in(results, table, args.seeds))
        print(
            grid_markdown(shown, results, args.seeds, COMMAND), end="\n\n", flush=True
        )
    return 0


def extended(table: Table, rows: Collection[str]) -> Table:
    """The table with those of the other methods that are among `rows`."""
    return replace(table, methods=(*table.methods, *(r for r in SIBLINGS if r in rows)))


def found_in(results: Results, table: Table, seeds: int) -> set[str]:
    """The other methods of which a training of the table is finished."""
    return {
        row
        for row in SIBLINGS
        for column in table.columns
        for seed in range(seeds)
        if grid_training(row, seed, column.config) in results
    }


def smoke(table: Table, source: str) -> Table:
    """The first column with few steps; any data will do."""
    config = table.columns[0].config
    data = replace(config.data, source=Path(source).name, labels=300, target=100)
    config = replace(config, data=data, rounds=SMOKE)
    return replace(table, columns=(Column(title="smoke", config=config),))


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
