"""What a sweep leaves when its trials have ended: the best, tables, what mattered."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from infaug.config import Objective, to_dict
from infaug.experiment.sweep.changes import apply
from infaug.experiment.sweep.confirm import score_on_test
from infaug.experiment.sweep.ledger import Ledger, Progress, Tried
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Space
from infaug.record.atomic import write_bytes, write_json
from infaug.record.table_file import as_csv

MIN_TRIALS = 8  # for an importance
MIN_AGREEING = 5  # trials, for a rank correlation with an interval
NUM_TREES = 200
NUM_SHUFFLES = 10
ENDS = ("completed", "stopped", "failed", "open")


def best_of(trials: Sequence[Tried], objective: Objective) -> Tried:
    """The first of the best on the selection split, among those with all steps.

    A trial that was stopped might have become better; the scheduler bets it would not.

    Raises:
        ValueError: if no trial took all its steps.
    """
    whole = [trial for trial in trials if trial.end == "completed"]
    if not whole:
        reasons = sorted({trial.why for trial in trials if trial.why})
        why = "; ".join(reasons) or "the same command with a larger budget goes on"
        raise ValueError(f"no trial came to its end: {why}")
    return max(whole, key=lambda trial: trial.rounds[-1].merit(objective))


def common_steps(trials: Sequence[Tried]) -> int:
    """The last step that every trial with a report has reached."""
    return min(trial.rounds[-1].steps for trial in trials if trial.rounds)


def write_trials(trials: Sequence[Tried], space: Space, path: Path) -> None:
    """All trials as CSV: how each ended, its last report, its settings."""
    lines = []
    for trial in trials:
        last = {key: getattr(trial.last, key, "") for key in Progress.__annotations__}
        values = {name: trial.changes.get(name) for name in space}
        plain = {
            k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()
        }
        head = {"trial": trial.name, "end": trial.end}
        lines.append({**head, **last, **plain, "why": trial.why})
    write_bytes(path, as_csv(lines))


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
    """Whether trials that lead at a "rung" lead "later": at other rungs and the end.

    A rung is a step at which the scheduler compares trials. Only trials that reached
    the later step are seen, the better ones: over all trials agreement is rather
    higher. See `rank_agreement`.
    """
    objective, found = sweep.how.objective, []
    for rung, later in combinations((*sweep.rungs, sweep.steps), 2):
        pairs = [(each.reached(rung), each.reached(later)) for each in trials]
        merits = [
            (first.merit(objective), last.merit(objective))
            for first, last in pairs
            if first and last
        ]
        if ranked := rank_agreement(merits):
            found.append({"rung": rung, "later": later, **ranked})
    return found


def agreement_of(before: Sweep, after: Sweep) -> dict[str, Any] | None:
    """Whether trials that lead on a problem lead on the next one of a ladder.

    Seen are those that went on, ranked as they are promoted; see `rank_agreement`.
    """
    objective, first = before.how.objective, before.ledger().trials
    later = [t for t in after.ledger().named(after.names) if t.rounds]
    sides = ([first[trial.name] for trial in later], later)
    places = []
    for side in sides:
        ranks = [trial.rank(objective) for trial in side]
        places.append([sorted(ranks).index(rank) for rank in ranks])
    return rank_agreement(list(zip(*places, strict=True)))


def rank_agreement(merits: Sequence[tuple[float, float]]) -> dict[str, Any] | None:
    """Spearman's correlation of two merits of some trials; None of too few.

    "low" and "high" are of 95 %, by Fisher's z with Fieller's variance, 1.06 / (n - 3).
    """
    if len(merits) < MIN_AGREEING:
        return None
    before, after = np.array(merits, dtype=float).T
    ranked: Any = spearmanr(before, after)
    rho = float(ranked.statistic)
    if not math.isfinite(rho):  # all trials are alike
        return None
    z = math.atanh(np.clip(rho, -0.999, 0.999))
    width = 1.96 * math.sqrt(1.06 / (len(merits) - 3))
    return {
        "spearman": rho, "low": math.tanh(z - width), "high": math.tanh(z + width),
        "num_trials": len(merits),
    }  # fmt: skip


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


def conclude(
    problems: Sequence[Sweep],
    ledger: Ledger,
    best: Tried,
    confirmed: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Score the repeats on test images, if there are any, and keep the result.

    `problems` are those of the ladder, the sweep's own last; the other arguments are of
    this one. A finished sweep is not scored again: its result is returned.
    """
    sweep = problems[-1]
    path = sweep.out / "result.json"
    trials = ledger.named(sweep.names)
    ends = [trial.end or "open" for trial in trials]
    identity = {
        "trials": len(trials),
        "ends": {end: ends.count(end) for end in ENDS if end != "open" or end in ends},
        "best": best.name,
        "confirmed_on": confirmed["seeds"] if confirmed else [],
    }
    if path.exists():
        kept = json.loads(path.read_text())
        if {key: kept[key] for key in identity} == identity:
            return kept
    result = {
        **identity,
        "objective": sweep.how.objective,
        "changes": best.changes,
        "selection": asdict(best.rounds[-1]),
        "importance": importance(trials, sweep.space, sweep.how.objective),
        "agreement": agreements(sweep, trials),
        "ladder": [
            {"problem": text, **_climbed(before, after)}
            for text, (before, after) in zip(
                sweep.how.ladder, pairwise(problems), strict=True
            )
        ],
        "confirm": confirmed,
        "test": score_on_test(sweep, confirmed["seeds"]) if confirmed else None,
    }
    write_json(path, result)
    return result


def _climbed(before: Sweep, after: Sweep) -> dict[str, Any]:
    """What a cheaper problem was good for."""
    return {
        "trials": len(before.names),
        "went_on": after.names,
        "agreement": agreement_of(before, after),
    }
