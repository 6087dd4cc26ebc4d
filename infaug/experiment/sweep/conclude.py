"""What a sweep leaves when its trials have ended: files, and lines to be read."""

import json
from dataclasses import asdict
from statistics import mean
from typing import Any

from infaug.experiment.sweep.best import best_of, table, write_best, write_trials
from infaug.experiment.sweep.confirm import Confirmed, score_on_test
from infaug.experiment.sweep.importance import Importance, said
from infaug.experiment.sweep.ledger import Ledger, Tried
from infaug.experiment.sweep.plan import Sweep
from infaug.record.atomic import write_json
from infaug.words import plural


def write_choice(sweep: Sweep, ledger: Ledger) -> Tried:
    """Write the table of trials and the best settings; the best trial.

    Raises:
        ValueError: if no trial took all its steps.
    """
    trials = [ledger.trials[name] for name in sweep.names]
    write_trials(trials, sweep.space, sweep.out / "trials.csv")
    best = best_of(trials, sweep.how.objective)
    write_best(best, sweep.config, sweep.out / "best.json")
    return best


def choice_in_words(sweep: Sweep, ledger: Ledger, best: Tried) -> list[str]:
    """The table, and which settings are best."""
    trials = [ledger.trials[name] for name in sweep.names]
    changes = ", ".join(f"{name} {value}" for name, value in best.changes.items())
    return [
        table(trials, sweep.space, sweep.how.objective),
        f"best on selection: {best.name} with {changes}",
        f"its settings: infaug fit --config {sweep.out / 'best.json'}",
    ]


def conclude(
    sweep: Sweep,
    ledger: Ledger,
    best: Tried,
    found: Importance | None,
    confirmed: Confirmed | None,
) -> dict[str, Any]:
    """Look at test images, if there are repeats to be scored; keep the result.

    A finished sweep is not scored again: what is in the folder is returned.
    """
    path = sweep.out / "result.json"
    trials = [ledger.trials[name] for name in sweep.names]
    identity = {
        "trials": len(trials),
        "best": best.name,
        "confirmed_on": confirmed.seeds if confirmed else [],
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
        "importance": asdict(found) if found else None,
        "confirm": _plain(confirmed),
        "test": score_on_test(sweep, confirmed.seeds) if confirmed else None,
    }
    write_json(path, result)
    return result


def conclusion_in_words(
    result: dict[str, Any], found: Importance | None, confirmed: Confirmed | None
) -> list[str]:
    """What mattered, what fresh seeds say, and the test accuracy."""
    lines = [said(found)] if found else []
    if confirmed is None:
        return [*lines, "not confirmed: --confirm 5 repeats it on fresh seeds"]
    sides = {"best": confirmed.best, "default": confirmed.default}
    lines += [
        f"{side} on fresh seeds, selection: loss {mean(p.loss for p in told):.4f}, "
        f"top-1 {mean(p.top1 for p in told):.2f} %"
        for side, told in sides.items()
        if told
    ]
    test = result["test"]
    lines.append(confirmed.words)
    lines.append(
        f"test, once, best settings: top-1 {test['mean_top1']:.2f} %, loss "
        f"{test['mean_loss']:.4f} (mean of {plural(len(test['seeds']), 'seed')}, "
        f"{test['images']} images)"
    )
    return lines


def _plain(confirmed: Confirmed | None) -> dict[str, Any] | None:
    if confirmed is None:
        return None
    ahead = asdict(confirmed.ahead) if confirmed.ahead else None
    if ahead and len(confirmed.seeds) < 2:
        ahead |= {"low": None, "high": None}  # JSON has no infinity
    return {
        "words": confirmed.words,
        "ahead": ahead,
        "best": [asdict(each) for each in confirmed.best],
        "default": [asdict(each) for each in confirmed.default],
    }
