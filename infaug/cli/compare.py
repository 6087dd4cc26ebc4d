"""`infaug compare`: methods on data sets, paired by seed, as a leaderboard."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from infaug.cli import flags
from infaug.cli.flags import look_for_data, parse_run
from infaug.config import RunConfig
from infaug.experiment.places import fixed, places_of
from infaug.experiment.problems import Problems
from infaug.words import plural

if TYPE_CHECKING:
    from infaug.experiment.grid import Work
    from infaug.experiment.grid_run import Site
    from infaug.experiment.leaderboard import Board
    from infaug.experiment.results import Results


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


def compare(args: Compare, problems: Problems | None = None) -> int:
    """`infaug compare`; `problems`: what is compared on where flags do not say."""
    if not args.render:
        target = args.run.data.target_source
        look_for_data(*places_of(args.sources).values(), target)
    from infaug.experiment.grid_problems import recalled
    from infaug.experiment.leaderboard import board
    from infaug.experiment.results import Results

    problems = problems or problems_of(args)
    methods, seeds = methods_of(args.run), args.run.seeds
    results = Results(args.results or args.out / "results.jsonl")
    if args.render:
        problems = recalled(problems, results)
    else:
        problems = _run(args, problems, methods, results)
    boards = [board(column, methods, seeds, results) for column in problems.columns]
    _show(args, boards, problems.program)
    return 0


def _run(
    args: Compare, problems: Problems, methods: tuple[str, ...], results: "Results"
) -> Problems:
    """Run what is missing of the problems whose data is here.

    What comes back are the problems with the sizes and modes that were chosen.
    """
    from infaug.experiment.grid import Table, work_of
    from infaug.experiment.grid_images import forget_images
    from infaug.experiment.grid_problems import resolved
    from infaug.experiment.grid_run import Site
    from infaug.lock import locked

    shown = not (args.quiet or args.json)
    work = (args.out / "work").absolute()
    args.out.mkdir(parents=True, exist_ok=True)
    refusal = f"another process is comparing in {args.out}: wait for it"
    with locked(args.out / "lock", refusal):
        problems = resolved(problems, results, shown=shown)
        if args.workers:
            forget_images()  # Ray's workers read their own.
        here = [c for c in problems.columns if c.config.data.source in problems.places]
        table = Table(name="", title="", columns=tuple(here), methods=methods)
        run_missing(
            work_of([table], None, args.run.seeds),
            results,
            Site(work=work, places=problems.places, targets=problems.targets),
            workers=args.workers,
            gpus=args.gpus_per_training,
            cpus=args.cpus_per_training,
            shown=shown,
        )
    return problems


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


def problems_of(args: Compare) -> Problems:
    """One problem for each source, with the settings that the flags give.

    Raises:
        ValueError: without a source, and for two of one name.
    """
    from infaug.experiment.grid import Column

    places = places_of(args.sources or (args.run.data.source,))
    run = args.run
    if run.data.drop_duplicates is None:  # What a new run decides.
        run = replace(run, data=replace(run.data, drop_duplicates=True))
    columns = []
    for name in places:
        data = replace(run.data, source=name)
        columns.append(Column(title=name, config=replace(run, data=data)))
    target = args.run.data.target_source
    targets = {} if target is None else {target: fixed(target)}
    return Problems(columns=tuple(columns), places=places, targets=targets)


def _show(args: Compare, boards: "Sequence[Board]", program: str) -> None:
    from infaug.record.atomic import write_bytes
    from infaug.report import tables as files
    from infaug.report.pictures import draw_leaderboard

    words = [word for word in args.given if word not in ONLY_SHOWN]
    text = files.markdown(boards, args.run.seeds, f"{program} {shlex.join(words)}")
    args.out.mkdir(parents=True, exist_ok=True)
    write_bytes(args.out / "leaderboard.md", (text + "\n").encode())
    files.write_csv(boards, args.out / "leaderboard.csv")
    files.write_parquet(boards, args.out / "leaderboard.parquet")
    draw_leaderboard(boards, args.out / "leaderboard.png")
    if args.json:
        print(json.dumps(files.rows(boards)))
        return
    print(text)
    if not args.quiet:
        print(f"files: {args.out}/leaderboard.md, .csv, .parquet, .png")


def run_missing(
    works: "Sequence[Work]",
    results: "Results",
    site: "Site",
    *,
    workers: int,
    gpus: float = 0.0,
    cpus: int = 1,
    shown: bool = True,
) -> None:
    """Do the trainings that have no result yet, adding each as it ends.

    `workers` at a time on Ray, each with so many GPUs and threads; 0: one after another
    in this process.

    Raises:
        ValueError: whatever a training refuses.
    """
    missing = [work for work in works if work.training not in results]
    if shown:
        done = len(works) - len(missing)
        print(f"{plural(done, 'training')} done, {len(missing)} to do", file=sys.stderr)
    if not missing:
        return
    if workers:
        from infaug.distributed.tasks import run_on_ray  # imports ray

        found = run_on_ray(missing, site, at_a_time=workers, cpus=cpus, gpus=gpus)
    else:
        from infaug.experiment.grid_run import run_grid_training

        found = (run_grid_training(work, site, shown=shown) for work in missing)
    for number, record in enumerate(found, start=1):
        results.add(record)
        if shown:
            words = f"{record['row']} seed {record['seed']}: {record['test_top1']:.2f}"
            line = f"[{number}/{len(missing)}] {words} % in {record['seconds']:.0f} s"
            print(line, file=sys.stderr, flush=True)
