"""`infaug compare`: methods on data sets, paired by seed, as a leaderboard."""

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from infaug.cli import flags
from infaug.cli.flags import look_for_data, parse_run
from infaug.cli.places import located, places_of
from infaug.config import RunConfig

if TYPE_CHECKING:
    from infaug.experiment.leaderboard import Board
    from infaug.experiment.table_plan import Column, Results


DEFAULT_METHODS = (
    "none", "base", "base_tuned", "trivial", "mixup", "mmel_hard",
    "base_random_initial", "base_random_final", "pooled", "base_learned",
    "pooled_learned", "trivial_learned",
)  # fmt: skip

# `--data` takes several.
SHORT = {**flags.SHORT, "--data": "--sources", "--rows": "--methods"}

# Left out of the command that is printed for a rerun: they change what is shown.
ONLY_SHOWN = ("--render", "--json", "--quiet")


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Train methods on data sets with paired seeds, and rank them.

    Takes every flag of `infaug fit` but one: --data names one or more sources, each as
    FOLDER or NAME=FOLDER. --methods are none, base, trivial, mixup, mmel_hard,
    base_learned, ... Every training (data, method, seed) is one process's work;
    the same command again continues. Files: leaderboard.md, .csv, .parquet, .png.
    """

    sources: tuple[str, ...] = ()
    """Same as --data."""
    out: Path = Path("runs/compare")
    """Folder, which all nodes see."""
    results: Path | None = None
    """Finished trainings, a JSON line each; none: results.jsonl in the folder."""
    config: Path | None = None
    """A config.json of a run to start from; flags given beside it win."""
    workers: int = 0
    """Trainings at a time on Ray; 0: one after another in this process, without Ray."""
    cpus_per_training: int = 1
    """Threads of each on Ray."""
    gpus_per_training: float = 0.0
    """GPUs of each, or a part of one."""
    render: bool = False
    """Run nothing, show what is finished."""
    json: bool = False
    """Print the leaderboard as JSON and nothing else."""
    quiet: bool = False
    """Print nothing but the leaderboard."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    given: tyro.conf.Suppress[tuple[str, ...]] = ()
    """The command's own words, to print how to rerun it."""


def parse_compare(
    argv: Sequence[str], default: Compare | None = None, prog: str = "infaug compare"
) -> Compare:
    """The command, from its flags."""
    args = parse_run(Compare, argv, default, prog, short=SHORT, needed="--sources")
    return replace(args, given=tuple(argv))


def compare(
    args: Compare,
    columns: "Sequence[Column] | None" = None,
    prog: str = "infaug compare",
) -> int:
    """`infaug compare`; `columns`: what is compared on where flags do not say."""
    places = places_of(args.sources or (args.run.data.source,))
    if not args.render:
        look_for_data(*places.values(), args.run.data.target_source)
    from infaug.experiment.leaderboard import board
    from infaug.experiment.table_plan import Results

    columns = columns or columns_of(args.run, places)
    methods, seeds = methods_of(args.run), args.run.seeds
    results = Results(args.results or args.out / "results.jsonl")
    if not args.render:
        here = [c for c in columns if c.config.data.source in places]
        _run(args, here, methods, results, places)
    boards = [board(column, methods, seeds, results) for column in columns]
    _show(args, boards, prog)
    return 0


def _run(
    args: Compare,
    columns: "Sequence[Column]",
    methods: tuple[str, ...],
    results: "Results",
    places: Mapping[str, str],
) -> None:
    """Do what is missing of problems whose images are here."""
    from infaug.experiment.table_plan import plan_table, ready
    from infaug.experiment.table_training import (
        images_at,
        images_of,
        run_table_training,
    )
    from infaug.lock import locked

    shown = not (args.quiet or args.json)
    args.out.mkdir(parents=True, exist_ok=True)
    refusal = f"another process is comparing in {args.out}: wait for it"
    with locked(args.out / "lock", refusal):
        images_at.cache_clear()  # They may have changed since this process read them.
        for column in columns:
            source, notes = images_of(column.config.data, places)
            results.match(column.config.data, source.identity)
            for line in notes if shown else ():
                print(f"{column.title}: {line}", file=sys.stderr)
        wanted = [(c.config, method) for c in columns for method in methods]
        work = (args.out / "work").absolute()
        run_missing(
            plan_table(wanted, args.run.seeds),
            results,
            partial(run_table_training, work=work, places=places),
            workers=args.workers,
            gpus=args.gpus_per_training,
            cpus=args.cpus_per_training,
            ready=ready,
            shown=shown,
        )


def methods_of(run: RunConfig) -> tuple[str, ...]:
    """The methods that are named, or the usual ones.

    Raises:
        ValueError: for one that there is not.
    """
    from infaug.training.methods import METHODS

    methods = run.methods or DEFAULT_METHODS
    if unknown := [name for name in methods if name not in METHODS]:
        raise ValueError(
            f"--methods: there is no method {unknown[0]!r}: choose among "
            f"{', '.join(METHODS)}"
        )
    return methods


def columns_of(run: RunConfig, names: Iterable[str]) -> "list[Column]":
    """One problem for each name of data, with the settings that the flags give."""
    from infaug.experiment.table_plan import Column

    if run.data.drop_duplicates is None:  # What a new run decides.
        run = replace(run, data=replace(run.data, drop_duplicates=True))
    data = located(run.data)
    return [
        Column(title=name, config=replace(run, data=replace(data, source=name)))
        for name in names
    ]


def _show(args: Compare, boards: "Sequence[Board]", prog: str) -> None:
    from infaug.record.atomic import write_bytes
    from infaug.record.table_file import as_csv, as_parquet
    from infaug.report import tables as files
    from infaug.report.pictures import draw_leaderboard

    words = [word for word in args.given if word not in ONLY_SHOWN]
    text = files.markdown(boards, args.run.seeds, f"{prog} {shlex.join(words)}")
    args.out.mkdir(parents=True, exist_ok=True)
    write_bytes(args.out / "leaderboard.md", (text + "\n").encode())
    lines = files.rows(boards)
    write_bytes(args.out / "leaderboard.csv", as_csv(lines))
    write_bytes(args.out / "leaderboard.parquet", as_parquet(lines, files.KINDS))
    draw_leaderboard(boards, args.out / "leaderboard.png")
    if args.json:
        print(json.dumps(lines))
        return
    print(text)
    if not args.quiet:
        print(f"files: {args.out}/leaderboard.md, .csv, .parquet, .png")


def scored(record: Mapping[str, Any], name: str = "test_top1") -> str:
    """A training and how well it did, in a line."""
    which = f"{record['method']} seed {record['seed']}"
    return f"{which}: {record[name]:.2f} % in {record['seconds']:.0f} s"


def run_missing(
    plan: Sequence[Any],
    results: "Results",
    work: Callable[..., dict[str, Any]],
    *,
    workers: int = 0,
    gpus: float = 0.0,
    cpus: int = 1,
    ready: Callable[..., Sequence[Any]] = lambda waiting, _: waiting,
    describe: Callable[[dict[str, Any]], str] = scored,
    shown: bool = True,
) -> None:
    """Do what a plan still lacks, keeping what each job found as it ends.

    Args:
        plan: the jobs, as `results` reads them.
        results: what is done.
        work: does a job, or goes on with it; its argument `shown` is whether it prints.
        workers: jobs at a time on Ray; 0: one after another in this process.
        gpus: of each, on Ray.
        cpus: likewise, and its threads.
        ready: of the jobs that wait, which may begin beside those that run.
        describe: what is printed of what a job found.
        shown: whether progress is printed.

    Raises:
        ValueError: whatever a job refuses.
    """
    missing = [job for job in plan if job not in results]
    if shown:
        done = len(plan) - len(missing)
        print(f"{done} done, {len(missing)} to do", file=sys.stderr)
    if workers and missing:
        from infaug.distributed.tasks import in_tasks  # imports ray

        found = in_tasks(
            partial(work, shown=False), missing,
            at_a_time=workers, cpus=cpus, gpus=gpus, ready=ready,
        )  # fmt: skip
    else:
        found = ((job, work(job, shown=shown)) for job in missing)
    for number, (_, record) in enumerate(found, start=1):
        results.add(record)
        if shown:
            line = f"[{number}/{len(missing)}] {describe(record)}"
            print(line, file=sys.stderr, flush=True)
