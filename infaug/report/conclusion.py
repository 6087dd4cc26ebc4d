"""The verdict of a run in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from infaug.experiment.verdict import ENOUGH_SEEDS, Comparison
from infaug.report.facts import Facts
from infaug.report.standing import differences, not_run, speaking_row, tops
from infaug.report.words import PHASES, explained, listed, number, signed
from infaug.training.rows import ROWS
from infaug.words import plural


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What the top of the page says."""

    word: str
    """gain, no gain, undecided or unfinished."""
    headline: str
    lead: str
    """The two numbers, or how far the run is."""
    sentences: tuple[str, ...]
    """What these rest on, and what was not run."""
    printed: str
    """The sentence that the run itself printed; empty while it is unfinished."""


HEADLINES = {
    "gain": "Learning the augmentation helped.",
    "no gain": "Learning the augmentation brought nothing here.",
    "undecided": "Whether learning the augmentation helped is undecided.",
    "unfinished": "This run is not finished, and nothing is decided yet.",
}


def conclude(facts: Facts) -> Conclusion:
    """The verdict, what it rests on, and what was not run."""
    printed: str = (facts.result or {}).get("verdict", "")
    word = printed.partition(":")[0] if facts.is_finished else "unfinished"
    row = speaking_row(facts)
    made = [c for c in differences(facts) if c.row == row]
    sentences = []
    if row is None:
        lead = "No row with a learned augmentation is finished."
    elif made:
        closest = min(made, key=lambda c: c.difference)
        lead = _lead(facts, closest)
        sentences += [_interval(closest), *_why(word, closest)]
        pair = f"{explained(row)}, and {explained(closest.control)}"
        sentences.append(f"Compared are {pair}.")
    else:
        lead = f"{row} can be compared with nothing: no control was run."
    if not facts.is_finished:
        sentences = [lead, *sentences]
        lead = _progress(facts)
    sentences += _ahead(facts, [row, *(c.control for c in made)])
    sentences += _given_up(facts, row)
    if lacking := not_run(facts):
        sentences.append(
            f"Not run, and so not beaten: {listed(lacking)}. A gain against "
            f"{'it' if len(lacking) == 1 else 'them'} is not shown."
        )
    return Conclusion(
        word=word,
        headline=HEADLINES.get(word, printed),
        lead=_unbroken(lead),
        sentences=tuple(_unbroken(sentence) for sentence in sentences),
        printed=printed,
    )


def _lead(facts: Facts, closest: Comparison) -> str:
    found = tops(facts)
    rows = closest.row, closest.control
    both = set(found[closest.row]) & set(found[closest.control])
    ours, theirs = (number(fmean(found[row][seed] for seed in both)) for row in rows)
    return (
        f"With the learned augmentation {ours} % of the test images are recognised; "
        f"with the closest control, {theirs} %."
    )


def _interval(closest: Comparison) -> str:
    said = f"The difference is {signed(closest.difference)} points"
    if closest.num_seeds < 2:
        return f"{said} on a single seed: how far chance moves it is unknown."
    return (
        f"{said}, and its 95 % interval goes from {signed(closest.low)} to "
        f"{signed(closest.high)} ({plural(closest.num_seeds, 'paired seed')})."
    )


def _why(word: str, closest: Comparison) -> list[str]:
    if word == "undecided" and closest.num_seeds < ENOUGH_SEEDS:
        return [
            f"Fewer than {ENOUGH_SEEDS} seeds decide nothing: the same command with "
            f"--seeds {ENOUGH_SEEDS} or more adds them to this run."
        ]
    if word == "undecided" and closest.low <= 0:
        return [
            "The interval holds zero: more seeds would narrow it. The same command "
            "with more --seeds adds them to this run; the verdict then says that "
            "you had looked."
        ]
    if word == "gain":
        return ["The interval lies above zero against every control that was run."]
    return []


def _ahead(facts: Facts, compared: Sequence[str | None]) -> list[str]:
    """The best row, where it is none of those that the verdict compares."""
    means = {row: fmean(seeds.values()) for row, seeds in tops(facts).items()}
    best = max(means, key=means.__getitem__, default=None)
    if best in (None, *compared) or (best in ROWS and ROWS[best].is_oracle):
        return []
    return [f"The best row is none of these: {best}, {number(means[best])} %."]


def _given_up(facts: Facts, row: str | None) -> list[str]:
    results = facts.found.get(row, {}) if row else {}
    seeds = [str(seed) for seed, r in results.items() if r.get("strength") == 0]
    if not seeds:
        return []
    which = "seed" if len(seeds) == 1 else "seeds"
    return [
        f"The learned view was given up on {which} {listed(seeds)}, as selection "
        "images suffered from it."
    ]


def _progress(facts: Facts) -> str:
    if facts.num_cells is None:
        return "It has not begun to train."
    said = f"{facts.num_done} of {plural(facts.num_cells, 'cell')} are done"
    last = facts.metrics[-1] if facts.metrics else None
    if last is None:
        return f"{said}."
    phase = PHASES.get(last["phase"], last["phase"])
    return (
        f"{said}; the last line written is of {last['row']} seed {last['seed']}, "
        f"round {last['round'] + 1}, {phase}, at "
        f"{facts.as_of:%Y-%m-%d %H:%M} UTC."
    )


def _unbroken(sentence: str) -> str:
    """No line ends between a number and its unit."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")
