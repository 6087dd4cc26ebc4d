"""`infaug sweep`: settings searched for on the selection split, by Ray Tune."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from infaug.cli.flags import look_for_data, parse_run
from infaug.config import Objective, RunConfig, SweepConfig
from infaug.words import plural

if TYPE_CHECKING:
    from infaug.distributed.sweep import Capacity
    from infaug.experiment.sweep.ledger import Ledger, Tried
    from infaug.experiment.sweep.plan import Sweep as Plan
    from infaug.experiment.sweep.space import Space


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Search for settings of the learned augmentation; trials are judged on selection.

    Takes every flag of `infaug fit` as what trials begin from. The same command again
    continues; with more trials it goes on. `best.json` in the folder is for `infaug fit
    --config`. The last line printed is RESULT and a JSON object.
    """

    out: Path = Path("runs/sweep")
    """Folder, which all nodes see: new, empty, or of this very sweep."""
    config: Path | None = None
    """A config.json of a run to start from; flags given beside it win."""
    space: tuple[str, ...] = ()
    """What is searched, as name=low..high, name=log:low..high, name=int:low..high or
    name=a,b,c, where a name is a setting (estimator.learning_rate), `mode`,
    `refresh_steps` or `field_strength`; nothing: a space that suits small images."""
    sweep: SweepConfig = field(default_factory=SweepConfig)
    workers: int = 2
    """Trials at a time."""
    workers_per_trial: int = 1
    """Ray workers of each, which share its batches; --confirm has one."""
    cpus_per_trial: int = 1
    """Threads of each trial, or of each of its workers."""
    gpus_per_trial: float = 0.0
    """GPUs of the same, or a part of one."""
    confirm: int = 0
    """Fresh seeds on which the best settings and the first ones are trained; then test
    images are looked at, once, for the best."""
    quiet: bool = False
    """Print nothing but the last line."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)


def parse_sweep(
    argv: Sequence[str], default: Sweep | None = None, prog: str = "infaug sweep"
) -> Sweep:
    """The command, from its flags."""
    return parse_run(Sweep, argv, default, prog)


def sweep(args: Sweep, space: "Space | None" = None) -> int:
    """`infaug sweep`; `space`: what is searched where `--space` names nothing."""
    look_for_data(args.run.data.source, args.run.data.target_source)
    from infaug.cli.places import located
    from infaug.distributed.sweep import Capacity  # imports ray
    from infaug.experiment.plan import resolve_data
    from infaug.experiment.sweep.changes import DEFAULT_SPACE
    from infaug.experiment.sweep.plan import Sweep as Plan
    from infaug.experiment.sweep.space import parse_space
    from infaug.lock import locked

    for name in ("workers", "workers_per_trial", "cpus_per_trial"):
        if getattr(args, name) < 1:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} must be >= 1, got {getattr(args, name)}")
    config = replace(args.run, data=located(args.run.data))
    data, notes = resolve_data(config)
    if not args.quiet:
        print(*notes, sep="\n", end="\n" if notes else "")
    plan = Plan(
        config=replace(args.run, data=data),
        how=args.sweep,
        space=parse_space(args.space) if args.space else space or DEFAULT_SPACE,
        out=args.out.absolute(),
    )
    plan.enter()
    capacity = Capacity(
        at_a_time=args.workers,
        workers=args.workers_per_trial,
        cpus=args.cpus_per_trial,
        gpus=args.gpus_per_trial,
    )
    refusal = f"another process is sweeping in {args.out}: wait for it"
    with locked(plan.out / "lock", refusal):
        result = _search(plan, capacity, args.confirm, shown=not args.quiet)
    print("RESULT " + json.dumps(result), flush=True)
    return 0


def _search(
    plan: "Plan", capacity: "Capacity", repeats: int, *, shown: bool
) -> dict[str, Any]:
    from infaug.distributed.sweep import cluster_for, run_trials
    from infaug.experiment.sweep.results import conclude, write_choice
    from infaug.report.pictures import draw_parallel

    ledger, cache = plan.ledger(), plan.out / "cache"
    with cluster_for(capacity):
        run_trials(plan, ledger, capacity, shown=shown, cache=cache)
        best = write_choice(plan, ledger)
        if shown:
            print(*_describe_choice(plan, ledger, best), sep="\n", flush=True)
        confirmed = _confirm(plan, best, capacity, repeats) if repeats else None
    trials = ledger.named(plan.names)
    result = conclude(plan, ledger, best, confirmed)
    picture, objective = plan.out / "parallel.png", plan.how.objective
    draw_parallel(trials, plan.space, objective, best.name, picture)
    if shown:
        print(*describe_result(result), sep="\n")
        print("picture:", picture)
    keys = ("trials", "ends", "best", "changes", "selection", "test")
    return {key: result[key] for key in keys}


def _confirm(
    plan: "Plan", best: "Tried", capacity: "Capacity", count: int
) -> dict[str, Any]:
    from infaug.distributed.sweep import run_repeats
    from infaug.experiment.sweep.changes import DEFAULT
    from infaug.experiment.sweep.confirm import confirmed, repeats

    wanted = repeats(plan, count, is_default=best.name == DEFAULT)
    cache = plan.out / "cache"
    return confirmed(plan, run_repeats(plan, best.changes, wanted, capacity, cache))


def _describe_choice(plan: "Plan", ledger: "Ledger", best: "Tried") -> list[str]:
    """The table, and which settings are best."""
    changes = ", ".join(f"{name} {value}" for name, value in best.changes.items())
    return [
        table(ledger.named(plan.names), plan.space, plan.how.objective),
        f"best on selection: {best.name} with {changes}",
        f"its settings: infaug fit --config {plan.out / 'best.json'}",
    ]


def table(trials: "Sequence[Tried]", space: "Space", objective: Objective) -> str:
    """A line for each trial: those with all steps, best first, then others."""

    def merit(trial: "Tried") -> tuple[bool, int, float]:
        if not (last := trial.last):
            return False, 0, 0.0
        return trial.end == "completed", last.steps, last.merit(objective)

    shown = [name.rpartition(".")[2] for name in space]
    lines = [["trial", "end", "steps", "loss", "top-1", "s", *shown]]
    for trial in sorted(trials, key=merit, reverse=True):
        numbers = ["0", "", "", ""]
        if last := trial.last:
            numbers = [f"{last.steps}", f"{last.loss:.4f}", f"{last.top1:.2f}"]
            numbers += [f"{last.seconds:.0f}"]
        values = [trial.changes.get(name) for name in space]
        brief = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in values]
        lines.append([trial.name, trial.end or "open", *numbers, *brief])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(w) for word, w in zip(line, widths, strict=True))
        for line in lines
    )


def describe_result(result: Mapping[str, Any]) -> list[str]:
    """What mattered, what fresh seeds say, and the test accuracy."""
    lines = []
    if found := result["importance"]:
        first = list(found["by_name"].items())[:3]
        parts = ", ".join(f"{name} {value:.2f}" for name, value in first)
        about = f"{found['num_trials']} trials at step {found['steps']}"
        noise = "; but a forest predicts no trial from the others: take it for noise"
        noise = noise if found["explained"] <= 0 else ""
        lines.append(f"importance ({about}): {parts}{noise}")
    lines += [
        f"rank agreement of step {a['rung']} with step {a['later']}: Spearman "
        f"{a['spearman']:+.2f} ({a['low']:+.2f} to {a['high']:+.2f}), "
        f"{a['num_trials']} trials"
        for a in result["agreement"]
    ]
    if (confirmed := result["confirm"]) is None:
        return [*lines, "not confirmed: --confirm 5 repeats it on fresh seeds"]
    lines += [
        f"{side} on fresh seeds, selection: loss {mean(p['loss'] for p in each):.4f}, "
        f"top-1 {mean(p['top1'] for p in each):.2f} %"
        for side in ("best", "default")
        if (each := confirmed[side])
    ]
    test = result["test"]
    return [
        *lines,
        confirmed["words"],
        f"test, once, best settings: top-1 {test['mean_top1']:.2f} %, loss "
        f"{test['mean_loss']:.4f} (mean of {plural(len(test['seeds']), 'seed')}, "
        f"{test['images']} images)",
    ]
