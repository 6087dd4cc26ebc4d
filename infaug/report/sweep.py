"""A sweep in words: what it will cost, its trials, the best settings."""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any

from infaug.config import Objective
from infaug.experiment.sweep.cost import CostOf, costs_of, work_of
from infaug.experiment.sweep.ledger import Ledger, Tried
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Space
from infaug.words import plural


def describe_costs(
    problems: Sequence[Sweep], hours_of: CostOf | None, repeats: int
) -> list[str]:
    """A table of what every problem costs, the sum, and what `repeats` add to it.

    In GPU-hours by `hours_of`, or in trainings of the problem itself.
    """
    plan = problems[-1]
    costs = costs_of(problems, hours_of or partial(work_of, whole=plan.config))
    unit = "GPU-hours" if hours_of else "trainings"
    lines = [["trials", f"{unit} each", "steps taken", unit, "problem"]]
    for text, c in zip((*plan.how.ladder, "the sweep's own"), costs, strict=True):
        numbers = [f"{c.trials}", f"{c.one:.3g}", f"{c.share:.0%}", f"{c.all:.3g}"]
        lines.append([*numbers, text])
    total, alone = sum(c.all for c in costs), len(plan.names) * costs[-1].one
    confirming = 2 * repeats * costs[-1].one
    return [
        *_aligned(lines),
        f"in all {total:.4g} {unit} (estimate); {alone:.4g} if all trials were trained "
        f"in full; --confirm {repeats} adds {confirming:.4g} at most",
    ]


def describe_choice(plan: Sweep, ledger: Ledger, best: Tried) -> list[str]:
    """The table, and which settings are best."""
    changes = ", ".join(f"{name} {value}" for name, value in best.changes.items())
    return [
        table(ledger.named(plan.names), plan.space, plan.how.objective),
        f"best on selection: {best.name} with {changes}",
        f"its settings: infaug fit --config {plan.out / 'best.json'}",
    ]


def table(trials: Sequence[Tried], space: Space, objective: Objective) -> str:
    """A line for each trial: those with all steps, best first, then others."""
    shown = [name.rpartition(".")[2] for name in space]
    lines = [["trial", "end", "steps", "loss", "top-1", "s", *shown]]
    for trial in sorted(trials, key=lambda t: t.rank(objective), reverse=True):
        numbers = ["0", "", "", ""]
        if last := trial.last:
            numbers = [f"{last.steps}", f"{last.loss:.4f}", f"{last.top1:.2f}"]
            numbers += [f"{last.seconds:.0f}"]
        values = [trial.changes.get(name) for name in space]
        brief = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in values]
        lines.append([trial.name, trial.end or "open", *numbers, *brief])
    return "\n".join(_aligned(lines))


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words as lines, in columns that end together; the last begins so."""
    *columns, last = zip(*lines, strict=True)
    widths = [max(map(len, column)) for column in columns]
    padded = [
        [word.rjust(width) for word in column]
        for column, width in zip(columns, widths, strict=True)
    ]
    return list(map("  ".join, zip(*padded, last, strict=True)))


def _describe_rank(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "too few trials to tell"
    return (
        f"Spearman {found['spearman']:+.2f} ({found['low']:+.2f} to "
        f"{found['high']:+.2f}), {found['num_trials']} trials"
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
        f"{each['problem']}: {len(each['went_on'])} of {each['trials']} trials went "
        "on; rank agreement with the next problem: " + _describe_rank(each["agreement"])
        for each in result["ladder"]
    ]
    lines += [
        f"rank agreement of step {each['rung']} with step {each['later']}: "
        f"{_describe_rank(each)}"
        for each in result["agreement"]
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
