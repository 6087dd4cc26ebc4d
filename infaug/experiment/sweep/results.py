"""What a sweep leaves when its trials have ended: the best, tables, what mattered."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from infaug.config import Objective, to_dict
from infaug.experiment.sweep.changes import apply
from infaug.experiment.sweep.confirm import score_on_test
from infaug.experiment.sweep.ledger import Ledger, Tried
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Space
from infaug.record.atomic import write_bytes, write_json
from infaug.words import plural

MIN_TRIALS = 8  # for an importance
MIN_AGREEING = 5  # trials, for a rank correlation with an interval
NUM_TREES = 200
NUM_SHUFFLES = 10


def best_of(trials: Sequence[Tried], objective: Objective) -> Tried:
    """The first of the best on the selection split, among those with all steps.

    A trial that was stopped might have become better; the scheduler bets it would not.

    Raises:
        ValueError: if no trial took all its steps.
    """
    whole = [trial for trial in trials if trial.end == "completed"]
    if not whole:
        reasons = sorted({trial.why for trial in trials if trial.why})
        raise ValueError(f"no trial came to its end: {'; '.join(reasons)}")
    return max(whole, key=lambda trial: trial.rounds[-1].merit(objective))


def common_steps(trials: Sequence[Tried]) -> int:
    """The last step that every trial with a report has reached."""
    return min(trial.rounds[-1].steps for trial in trials if trial.rounds)


def in_order(trials: Sequence[Tried], objective: Objective) -> list[Tried]:
    """Best first: those with all steps, then those stopped, by how far they came."""

    def merit(trial: Tried) -> tuple[bool, int, float]:
        if not (last := trial.last):
            return False, 0, 0.0
        return trial.end == "completed", last.steps, last.merit(objective)

    return sorted(trials, key=merit, reverse=True)


def table(trials: Sequence[Tried], space: Space, objective: Objective) -> str:
    """A line for each trial, best first, for a terminal."""
    shown = [name.rpartition(".")[2] for name in space]
    lines = [["trial", "end", "steps", "loss", "top-1", "s", *shown]]
    for trial in in_order(trials, objective):
        numbers = ["0", "", "", ""]
        if last := trial.last:
            numbers = [f"{last.steps}", f"{last.loss:.4f}", f"{last.top1:.2f}"]
            numbers += [f"{last.seconds:.0f}"]
        values = [_brief(trial.changes.get(name)) for name in space]
        lines.append([trial.name, trial.end or "open", *numbers, *values])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(w) for word, w in zip(line, widths, strict=True))
        for line in lines
    )


def _brief(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_trials(trials: Sequence[Tried], space: Space, path: Path) -> None:
    """All trials as CSV: how each ended, its last report, its settings."""
    text = io.StringIO()
    numbers = ("steps", "loss", "top1", "seconds")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["trial", "end", *numbers, *space, "why"])
    for trial in trials:
        found = [getattr(trial.last, number, "") for number in numbers]
        values = [trial.changes.get(name) for name in space]
        plain = [v if isinstance(v, str) else json.dumps(v) for v in values]
        lines.writerow([trial.name, trial.end, *found, *plain, trial.why])
    write_bytes(path, text.getvalue().encode())


def importance(
    trials: Sequence[Tried], space: Space, objective: Objective
) -> dict[str, Any] | None:
    """How much a forest's prediction suffers without each setting; None of few trials.

    Returns:
        "by_name", mean loss of R^2 when a setting is shuffled among the trials, largest
        first; "explained", the forest's R^2 on trials that it was not grown from (out
        of bag), near or below 0 where it has learned nothing; "steps" of F after which
        the trials were compared, as all had come so far; "num_trials".
    """
    seen = [trial for trial in trials if trial.rounds]
    if len(seen) < MIN_TRIALS:
        return None
    steps = common_steps(seen)
    reports = [trial.at(steps) for trial in seen]
    merits = np.array([report.merit(objective) for report in reports if report])
    assert len(merits) == len(seen), "all have come so far"
    places = np.array([[space[n].place(t.changes[n]) for n in space] for t in seen])
    forest = RandomForestRegressor(NUM_TREES, oob_score=True, random_state=0)
    forest.fit(places, merits)
    found: Any = permutation_importance(
        forest, places, merits, n_repeats=NUM_SHUFFLES, random_state=0
    )
    means = dict(zip(space, map(float, found.importances_mean), strict=True))
    return {
        "by_name": dict(sorted(means.items(), key=lambda item: -item[1])),
        "explained": float(forest.oob_score_),
        "steps": steps,
        "num_trials": len(seen),
    }


def agreements(sweep: Sweep, trials: Sequence[Tried]) -> list[dict[str, Any]]:
    """Whether trials that lead at a "rung" lead at the last step, "later".

    A rung is a step at which the scheduler compares trials. Only trials that reached
    the last one are seen, the better ones: over all trials agreement is rather higher.
    "low" and "high" are of 95 %, by Fisher's z with Fieller's variance, 1.06 / (n - 3);
    of too few trials nothing is said.
    """
    objective = sweep.how.objective
    whole = [t for t in trials if t.last and t.last.steps >= sweep.steps]
    ends = [trial.rounds[-1].merit(objective) for trial in whole]
    found = []
    for rung in sweep.rungs if len(whole) >= MIN_AGREEING else ():
        reports = [trial.reached(rung) for trial in whole]
        merits = [report.merit(objective) for report in reports if report]
        ranked: Any = spearmanr(merits, ends)
        rho = float(ranked.statistic)
        if not math.isfinite(rho):  # all trials are alike
            continue
        z = math.atanh(np.clip(rho, -0.999, 0.999))
        width = 1.96 * math.sqrt(1.06 / (len(whole) - 3))
        found.append({
            "rung": rung, "later": sweep.steps, "spearman": rho,
            "low": math.tanh(z - width), "high": math.tanh(z + width),
            "num_trials": len(whole),
        })  # fmt: skip
    return found


def write_choice(sweep: Sweep, ledger: Ledger) -> Tried:
    """Write the table of trials and the best settings, for `infaug fit --config`.

    Returns:
        The best trial.

    Raises:
        ValueError: if no trial took all its steps.
    """
    trials = ledger.named(sweep.names)
    write_trials(trials, sweep.space, sweep.out / "trials.csv")
    best = best_of(trials, sweep.how.objective)
    write_json(sweep.out / "best.json", to_dict(apply(sweep.config, best.changes)))
    return best


def describe_choice(sweep: Sweep, ledger: Ledger, best: Tried) -> list[str]:
    """The table, and which settings are best."""
    changes = ", ".join(f"{name} {value}" for name, value in best.changes.items())
    return [
        table(ledger.named(sweep.names), sweep.space, sweep.how.objective),
        f"best on selection: {best.name} with {changes}",
        f"its settings: infaug fit --config {sweep.out / 'best.json'}",
    ]


def conclude(
    sweep: Sweep, ledger: Ledger, best: Tried, confirmed: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Score the repeats on test images, if there are any, and keep the result.

    A finished sweep is not scored again: its result is returned.
    """
    path = sweep.out / "result.json"
    trials = ledger.named(sweep.names)
    identity = {
        "trials": len(trials),
        "best": best.name,
        "confirmed_on": confirmed["seeds"] if confirmed else [],
    }
    if path.exists():
        kept = json.loads(path.read_text())
        if {key: kept[key] for key in identity} == identity:
            return kept
    ends = [trial.end for trial in trials]
    result = {
        **identity,
        "objective": sweep.how.objective,
        "ends": {end: ends.count(end) for end in ("completed", "stopped", "failed")},
        "changes": best.changes,
        "selection": asdict(best.rounds[-1]),
        "importance": importance(trials, sweep.space, sweep.how.objective),
        "agreement": agreements(sweep, trials),
        "confirm": confirmed,
        "test": score_on_test(sweep, confirmed["seeds"]) if confirmed else None,
    }
    write_json(path, result)
    return result


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
