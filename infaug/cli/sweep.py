"""`infaug sweep`: settings searched for on the selection split, by Ray Tune."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from infaug.cli.flags import look_for_data, parse_run
from infaug.config import RunConfig, SweepConfig

if TYPE_CHECKING:
    from infaug.distributed.sweep import Capacity
    from infaug.experiment.sweep.cost import CostOf
    from infaug.experiment.sweep.ledger import Tried
    from infaug.experiment.sweep.plan import Sweep as Plan
    from infaug.experiment.sweep.space import Space


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Search for settings of the learned augmentation; trials are judged on selection.

    Takes every flag of `infaug fit` as what trials begin from. The same command again
    continues; with more trials it goes on. `best.json` in the folder is for `infaug fit
    --config`. The last line printed is RESULT and a JSON object.
    """

    out: str = "runs/sweep"
    """Folder, which all nodes see, or URL: new, empty, or of this very sweep."""
    config: Path | None = None
    """A config.json of a run to start from; flags given beside it win."""
    space: tuple[str, ...] = ()
    """What is searched, as name=low..high, name=log:low..high, name=int:low..high or
    name=a,b,c, where a name is a setting (estimator.learning_rate), `mode`,
    `refresh_steps` or `field_strength`; nothing: a space that suits small images."""
    sweep: SweepConfig = field(default_factory=SweepConfig)
    workers: int = 2
    """Trials at a time."""
    workers_per_trial: str = "1"
    """N or MIN..MAX Ray workers of each, which share its batches; --confirm has one."""
    cpus_per_trial: int = 1
    """Threads of each trial, or of each of its workers."""
    gpus_per_trial: float = 0.0
    """GPUs of the same, or a part of one."""
    confirm: int = 0
    """Fresh seeds on which the best settings and the first ones are trained; then test
    images are looked at, once, for the best."""
    plan: bool = False
    """Print what the trials of every problem and --confirm cost, and stop."""
    quiet: bool = False
    """Print nothing but the last line."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)


def parse_sweep(
    argv: Sequence[str], default: Sweep | None = None, prog: str = "infaug sweep"
) -> Sweep:
    """The command, from its flags."""
    return parse_run(Sweep, argv, default, prog)


def sweep(
    args: Sweep, space: "Space | None" = None, hours_of: "CostOf | None" = None
) -> int:
    """`infaug sweep`.

    `space`: what is searched where `--space` names nothing; `hours_of`: worker-hours of
    a training, for `--plan`.
    """
    if not args.plan:
        look_for_data(args.run.data.source, args.run.data.target_source)
    from infaug.cli.places import located
    from infaug.count_range import CountRange
    from infaug.distributed.sweep import Capacity  # imports ray
    from infaug.experiment.plan import resolve_data
    from infaug.experiment.sweep.changes import space_for
    from infaug.experiment.sweep.ladder import problems_of
    from infaug.experiment.sweep.plan import Sweep as Plan
    from infaug.experiment.sweep.space import parse_space
    from infaug.lock import locked
    from infaug.record.mirror import Mirror
    from infaug.storage import is_url

    together = CountRange.parse(args.workers_per_trial, "--workers-per-trial")
    for name, value in (
        ("workers", args.workers),
        ("workers-per-trial", together.max),
        ("cpus-per-trial", args.cpus_per_trial),
    ):
        if value < 1:
            raise ValueError(f"--{name} must be >= 1, got {value}")
    mirror = Mirror(args.out, "sweep") if is_url(args.out) else None
    plan = Plan(
        config=args.run,
        how=args.sweep,
        space=parse_space(args.space) or space or space_for(args.sweep.method),
        out=mirror.folder if mirror else Path(args.out).absolute(),
        url=mirror.home.url if mirror else None,
    )
    if args.plan:
        from infaug.report.sweep import describe_costs

        problems = problems_of(plan)
        print(*describe_costs(problems, hours_of, args.confirm), sep="\n")
        return 0
    data, notes = resolve_data(replace(args.run, data=located(args.run.data)))
    if not args.quiet:
        print(*notes, sep="\n", end="\n" if notes else "")
    if mirror:
        mirror.bring()
    plan = replace(plan, config=replace(args.run, data=data))
    problems = problems_of(plan)
    for problem in (plan, *problems[:-1]):
        problem.enter()
    capacity = Capacity(
        at_a_time=args.workers,
        workers=together,
        cpus=args.cpus_per_trial,
        gpus=args.gpus_per_trial,
    )
    refusal = f"another process is sweeping in {args.out}: wait for it"
    with locked(plan.out / "lock", refusal), mirror.held() if mirror else nullcontext():
        push = mirror.push if mirror else None
        result = _search(problems, capacity, args.confirm, push, shown=not args.quiet)
    print("RESULT " + json.dumps(result), flush=True)
    return 0


def _search(
    problems: "Sequence[Plan]",
    capacity: "Capacity",
    repeats: int,
    push: Callable[[], None] | None,
    *,
    shown: bool,
) -> dict[str, Any]:
    from infaug.distributed.sweep import cluster_for, run_trials
    from infaug.distributed.sweep_budget import Budget
    from infaug.experiment.sweep.cost import costs_of, work_of
    from infaug.experiment.sweep.ladder import climb
    from infaug.experiment.sweep.results import conclude, write_choice
    from infaug.report.pictures import draw_parallel
    from infaug.report.sweep import describe_choice, describe_result

    how = problems[-1].how
    # Trials of all nodes share it, as a folder.
    cache = None if problems[-1].url else problems[-1].out / "cache"
    work = partial(work_of, whole=problems[-1].config)
    costs = [each.all for each in costs_of(problems, work)]
    ledgers = {problem.out: problem.ledger() for problem in problems}

    def taken() -> float:
        seconds = sum(ledger.seconds for ledger in ledgers.values())
        return seconds * capacity.workers.max / 3600

    ends_at = time.monotonic() + 60 * how.minutes if how.minutes else None
    budget = Budget(ends_at=ends_at, worker_hours=how.worker_hours, taken=taken)

    def run(problem: "Plan", left: int) -> None:
        # What cheaper ones leave of their part is the others'.
        share = budget.share(costs[-1 - left] / sum(costs[-1 - left :]))
        if shown and how.ladder:
            text = (*how.ladder, "the sweep's own")[-1 - left]
            print(f"problem: {text}", file=sys.stderr, flush=True)
        for each in (problem.control, problem):
            if each is None:
                continue
            each.out.mkdir(exist_ok=True)
            ledger = ledgers[each.out] = each.ledger(push)
            run_trials(
                each, ledger, capacity, shown=shown, cache=cache, budget=share,
                is_last=each is not problem or left == 0,
            )  # fmt: skip

    with cluster_for(capacity):
        problems = climb(problems, run)
        plan = problems[-1]
        ledger = plan.ledger()
        best = write_choice(plan, ledger)
        if shown:
            print(*describe_choice(plan, ledger, best), sep="\n", flush=True)
        confirmed = _confirm(plan, best, capacity, repeats, cache) if repeats else None
    trials = ledger.named(plan.names)
    result = conclude(problems, ledger, best, confirmed)
    picture, objective = plan.out / "parallel.png", plan.how.objective
    draw_parallel(trials, plan.space, objective, best.name, picture)
    if push:
        push()
    if shown:
        print(*describe_result(result), sep="\n")
        print("picture:", picture)
    keys = ("trials", "ends", "best", "changes", "selection", "test")
    return {key: result[key] for key in keys}


def _confirm(
    plan: "Plan", best: "Tried", capacity: "Capacity", count: int, cache: Path | None
) -> dict[str, Any]:
    from infaug.distributed.sweep import run_repeats
    from infaug.experiment.sweep.changes import DEFAULT
    from infaug.experiment.sweep.confirm import confirmed, repeats

    wanted = repeats(plan, count, is_default=best.name == DEFAULT)
    return confirmed(plan, run_repeats(plan, best.changes, wanted, capacity, cache))
