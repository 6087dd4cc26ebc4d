"""`infaug compare`: methods on data sets, paired by seed, as a leaderboard."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from infaug.cli import run_flags
from infaug.cli.cells import run_missing
from infaug.cli.places import look_for_data
from infaug.cli.run_flags import parse_run
from infaug.config import RoundsConfig, RunConfig
from infaug.experiment.places import fixed, places_of
from infaug.experiment.problems import Problems

if TYPE_CHECKING:
    from infaug.experiment.leaderboard import Board
    from infaug.experiment.results import Results

METHODS = (
    "none", "base", "base_tuned", "trivial", "mixup", "mmel_hard",
    "base_random_initial", "base_random_final", "pooled", "base_learned",
    "pooled_learned", "trivial_learned",
)  # fmt: skip
SMOKE = RoundsConfig(rounds=2, classifier_steps=6, estimator_steps=4)

# `--data` takes several, and a method is what a run calls a row.
SHORT = {**run_flags.SHORT, "--data": "--sources", "--methods": "--rows"}

# Of a command that is told to the user again: what only says how it is shown.
ONLY_SHOWN = ("--render", "--json", "--quiet", "--smoke")


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Train methods on data sets with paired seeds, and rank them.

    Takes every flag of `infaug fit` but one: --data names one or more sources, each as
    FOLDER or NAME=FOLDER. --methods (also --rows) are rows: none, base, trivial, mixup,
    mmel_hard, base_learned, ... Every cell (data, method, seed) is one process's work;
    the same command again continues. Files: leaderboard.md, .csv, .parquet, .png.
    """

    sources: tuple[str, ...] = ()
    """Same as --data."""
    out: Path = Path("runs/compare")
    """Folder, which all nodes see."""
    results: Path | None = None
    """Finished cells, a JSON line each; none: results.jsonl in the folder."""
    config: Path | None = None
    """A config.json of a run to start from; flags given beside it win."""
    workers: int = 0
    """Cells at a time on Ray; 0: one after another in this process, without Ray."""
    cpus_per_cell: int = 1
    """Threads of each on Ray."""
    gpus_per_cell: float = 0.0
    """GPUs of each, or a part of one."""
    render: bool = False
    """Run nothing, show what is finished."""
    smoke: bool = False
    """Try everything out: few steps, one seed, in a folder of its own."""
    json: bool = False
    """Print the leaderboard as JSON and nothing else."""
    quiet: bool = False
    """Print nothing but the leaderboard."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    given: tyro.conf.Suppress[tuple[str, ...]] = ()
    """The command's own words, to be told again."""


def parse_compare(
    argv: Sequence[str], default: Compare | None = None, prog: str = "infaug compare"
) -> Compare:
    """The command, from its flags."""
    asked = parse_run(Compare, argv, default, prog, short=SHORT, needed="--sources")
    return replace(asked, given=tuple(argv))


def compare(asked: Compare, problems: Problems | None = None) -> int:
    """`infaug compare`; `problems`: what is compared on where flags do not say."""
    if not asked.render:
        target = asked.run.data.target_source
        look_for_data(*places_of(asked.sources).values(), target)
    from infaug.experiment.grid_problems import recalled
    from infaug.experiment.leaderboard import board
    from infaug.experiment.results import Results

    problems = problems or problems_of(asked)
    if asked.smoke:
        asked, problems = _smoke(asked, problems)
    methods, seeds = methods_of(asked.run), asked.run.seeds
    results = Results(asked.results or asked.out / "results.jsonl")
    if asked.render:
        problems = recalled(problems, results)
    else:
        problems = _run(asked, problems, methods, results)
    boards = [board(column, methods, seeds, results) for column in problems.columns]
    _show(asked, boards, problems)
    return 0


def _run(
    asked: Compare, problems: Problems, methods: tuple[str, ...], results: "Results"
) -> Problems:
    """Run what is missing of the problems whose data is here.

    Returns:
        The problems with the sizes and modes that were chosen.

    Raises:
        ValueError: whatever a cell refuses, and results of other images.
    """
    from infaug.experiment.grid import Table, work_of
    from infaug.experiment.grid_images import forget_images
    from infaug.experiment.grid_problems import settled
    from infaug.experiment.grid_run import Site
    from infaug.lock import locked

    shown = not (asked.quiet or asked.json)
    work = (asked.out / "work").absolute()
    asked.out.mkdir(parents=True, exist_ok=True)
    refusal = f"another process is comparing in {asked.out}: wait for it"
    with locked(asked.out / "lock", refusal):
        problems = settled(problems, results, shown=shown)
        if asked.workers:
            forget_images()  # Ray's workers read their own.
        here = [c for c in problems.columns if c.config.data.source in problems.places]
        table = Table(name="", title="", columns=tuple(here), rows=methods)
        run_missing(
            work_of([table], None, asked.run.seeds),
            results,
            Site(work=work, places=problems.places, targets=problems.targets),
            workers=asked.workers,
            gpus=asked.gpus_per_cell,
            cpus=asked.cpus_per_cell,
            shown=shown,
        )
    return problems


def methods_of(run: RunConfig) -> tuple[str, ...]:
    """The methods that are named, or the usual ones.

    Raises:
        ValueError: for one that there is not.
    """
    from infaug.training.rows import ROWS

    methods = run.rows or METHODS
    if unknown := [name for name in methods if name not in ROWS]:
        raise ValueError(
            f"--methods: there is no method {unknown[0]!r}: choose among "
            f"{', '.join(ROWS)}"
        )
    return methods


def problems_of(asked: Compare) -> Problems:
    """One problem for each source, with the settings that the flags give.

    Raises:
        ValueError: without a source, and for two of one name.
    """
    from infaug.experiment.grid import Column

    places = places_of(asked.sources or (asked.run.data.source,))
    run = asked.run
    if run.data.drop_duplicates is None:  # What a new run decides.
        run = replace(run, data=replace(run.data, drop_duplicates=True))
    columns = []
    for name in places:
        data = replace(run.data, source=name)
        columns.append(Column(title=name, config=replace(run, data=data)))
    target = asked.run.data.target_source
    targets = {} if target is None else {target: fixed(target)}
    return Problems(columns=tuple(columns), places=places, targets=targets)


def _smoke(asked: Compare, problems: Problems) -> tuple[Compare, Problems]:
    columns = tuple(
        replace(each, config=replace(each.config, rounds=SMOKE))
        for each in problems.columns
    )
    run = replace(asked.run, seeds=1)
    asked = replace(asked, run=run, results=None, out=asked.out / "smoke")
    return asked, replace(problems, columns=columns)


def _show(asked: Compare, boards: "Sequence[Board]", problems: Problems) -> None:
    from infaug.record.atomic import write_bytes
    from infaug.report import tables as files
    from infaug.report.pictures import draw_leaderboard

    again = {
        each.problem: _command(problems.program, asked.given, missing)
        for each in boards
        if (missing := [e.method for e in each.entries if e.missing])
    }
    command = _command(problems.program, asked.given)
    text = files.markdown(boards, asked.run.seeds, command, again)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_bytes(asked.out / "leaderboard.md", (text + "\n").encode())
    files.write_csv(boards, asked.out / "leaderboard.csv")
    files.write_parquet(boards, asked.out / "leaderboard.parquet")
    draw_leaderboard(boards, asked.out / "leaderboard.png")
    if asked.json:
        print(json.dumps(files.rows(boards)))
        return
    print(text)
    if not asked.quiet:
        print(f"files: {asked.out}/leaderboard.md, .csv, .parquet, .png")


def _command(
    program: str, argv: Sequence[str], methods: Sequence[str] | None = None
) -> str:
    """The command that was given, without what only shows; for other methods.

    >>> _command("x", ["--data", "digits", "--render", "--rows", "a", "b"], ["c"])
    'x --data digits --methods c'
    """
    kept, is_left_out = [], False
    for word in argv:
        if word.startswith("--"):
            flag = word.partition("=")[0]
            named = methods is not None and flag in ("--methods", "--rows")
            is_left_out = flag in ONLY_SHOWN or named
        if not is_left_out:
            kept.append(word)
    words = [*kept, "--methods", *methods] if methods is not None else kept
    return " ".join([program, shlex.join(words)]).rstrip()
