"""The verdict in words: one sentence for a terminal, a few for the top of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from infaug.experiment.verdict import MARGIN, MIN_SEEDS, Verdict, verdict
from infaug.report.facts import Facts
from infaug.report.standing import tops
from infaug.report.words import PHASES, explained, listed, number, signed
from infaug.training.methods import METHODS, RANDOM, RANDOM_METHODS
from infaug.words import plural

HEADLINES = {
    "gain": "Learning the augmentation helped.",
    "no gain": "Learning the augmentation brought nothing here.",
    "undecided": "Whether learning the augmentation helped is undecided.",
    "unfinished": "This experiment is not finished, and nothing is decided yet.",
}


def describe(found: Verdict) -> str:
    """One sentence that begins with the verdict's word.

    >>> describe(Verdict(word="undecided", method=None))
    'undecided: no learned method was run'
    """
    parts = [f"{_bounded(found)}: {_against_closest(found)}"]
    if found.missing:  # `none` is the name of one
        named = ", ".join(f"`{name}`" for name in found.missing)
        parts.append(f"controls not run: {named}")
    if found.method and found.num_seeds < MIN_SEEDS:
        more = plural(MIN_SEEDS - found.num_seeds, "more seed")
        parts.append(f"at least {more} needed")
    return "; ".join([*parts, *_notes(found)])


def describe_answer(answer: Mapping[str, Any]) -> str:
    """What is handed over, how good it is, and what learning was worth.

    >>> describe_answer({"method": "pooled", "accuracy": 91.25, "low": 80.0,
    ...     "high": 97.0, "num_images": 60, "learned_worth": None}).partition(":")[0]
    'pooled, trained on all labelled images'
    """
    interval = f"{answer['low']:.1f} to {answer['high']:.1f} %"
    first = (
        f"{answer['method']}, trained on all labelled images: {answer['accuracy']:.1f} "
        f"% of images like the target's {answer['num_images']} ({interval})"
    )
    worth = answer["learned_worth"]
    if worth is None:
        return f"{first}; no learned method was compared"
    return (
        f"{first}; the learned augmentation of {worth['method']} is worth "
        f"{worth['difference']:+.1f} points against {worth['control']} "
        f"({worth['low']:+.1f} to {worth['high']:+.1f})"
    )


def _bounded(found: Verdict) -> str:
    is_open = found.word == "undecided" and found.num_seeds >= MIN_SEEDS
    if is_open and found.high is not None and found.high >= 0:
        return f"undecided, at most {found.high:+.2f} points"
    return found.word


def _against_closest(found: Verdict) -> str:
    if found.method is None:
        return "no learned method was run"
    if is_given_up(found):
        return (
            f"keep the base augmentation; the learned view of {found.method} was given "
            "up on every seed, as selection images suffered from it"
        )
    if found.closest is None:
        return f"{found.method} was compared with nothing"
    interval = "unknown"
    if found.low is not None:
        interval = f"{found.low:+.2f} to {found.high:+.2f}"
    return (
        f"{found.method} is {found.difference:+.2f} points against its closest control "
        f"{found.closest} (95 % paired interval {interval}, "
        f"{plural(found.num_seeds, 'seed')})"
    )


def is_given_up(found: Verdict) -> bool:
    """Whether the learned view was given up on every seed."""
    return len(found.notes.get("given_up", ())) == found.num_seeds > 0


def _notes(found: Verdict) -> list[str]:
    notes, parts = found.notes, []
    if "given_up" in notes and not is_given_up(found):
        seeds = ", ".join(map(str, notes["given_up"]))
        parts.append(f"the learned view was given up on seed {seeds}")
    if "chance" in notes:
        parts.append(
            f"no method is far above chance ({notes['chance']:.0f} %): F learned too "
            "little to judge by, give it more rounds or steps"
        )
    if "looks" in notes:
        looks = listed([f"at {count}" for count in notes["looks"]])
        parts.append(
            f"seeds were added after a look {looks}, so the interval is too narrow"
        )
    return parts


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What the top of the page says."""

    word: str
    """gain, no gain, undecided or unfinished."""
    headline: str
    lead: str
    """The two numbers, or how far the experiment is."""
    sentences: tuple[str, ...]
    """What these rest on, and what was not run."""
    answer: str
    """What is handed over, in a sentence; empty without folds or while unfinished."""
    printed: str
    """The sentence that `infaug fit` printed; empty while it is unfinished."""


def verdict_so_far(facts: Facts) -> Verdict:
    """The stored verdict; while the experiment goes on, that on finished trainings.

    Controls that are still to come do not count as missing.
    """
    if facts.result is not None:
        return Verdict.from_dict(facts.result["verdict"])
    given_up = {
        row: [seed for seed, record in found.items() if record.get("strength") == 0]
        for row, found in facts.found.items()
    }
    found = verdict(tops(facts), given_up)
    planned = set(facts.row_names)
    if planned & set(RANDOM_METHODS):
        planned.add(RANDOM)
    missing = tuple(name for name in found.missing if name not in planned)
    return replace(found, missing=missing)


def conclude(facts: Facts) -> Conclusion:
    """The verdict, what it rests on, and what was not run."""
    found = verdict_so_far(facts)
    sentences = []
    if found.method is None:
        lead = "No learned method is finished."
    elif found.closest is None:
        lead = f"{found.method} can be compared with nothing: no control was run."
    else:
        lead = _lead(facts, found.method, found.closest)
        sentences += [_interval(found), *(_why(found) if facts.is_finished else [])]
        pair = f"{explained(found.method)}, and {explained(found.closest)}"
        sentences.append(f"Compared are {pair}.")
    if not facts.is_finished:
        sentences = [lead, *sentences]
        lead = _progress(facts)
    sentences += _ahead(facts, (found.method, found.closest))
    sentences += [f"{note[0].upper()}{note[1:]}." for note in _notes(found)]
    if is_given_up(found):
        sentences.append(
            "The learned view was given up on every seed, as selection images suffered "
            "from it: keep the base augmentation."
        )
    if found.missing:
        sentences.append(
            f"Not run, and so not beaten: {listed(list(found.missing))}. A gain "
            f"against {'it' if len(found.missing) == 1 else 'them'} is not shown."
        )
    word = found.word if facts.is_finished else "unfinished"
    answered = (facts.result or {}).get("answer")
    return Conclusion(
        word=word,
        headline=HEADLINES[word],
        lead=_unbroken(lead),
        sentences=tuple(_unbroken(sentence) for sentence in sentences),
        printed=describe(found) if facts.is_finished else "",
        answer=describe_answer(answered) if answered else "",
    )


def _lead(facts: Facts, method: str, control: str) -> str:
    found = tops(facts)
    both = set(found.get(method, {})) & set(found.get(control, {}))
    if not both:
        return f"{method} was compared with {control}."
    ours, theirs = (
        number(fmean(found[name][seed] for seed in both)) for name in (method, control)
    )
    return (
        f"With the learned augmentation {ours} % of the test images are recognised; "
        f"with the closest control, {theirs} %."
    )


def _interval(found: Verdict) -> str:
    assert found.difference is not None, "only of what was compared"
    points = f"The difference is {signed(found.difference)} points"
    if found.low is None or found.high is None:
        return f"{points} on a single seed: how far chance moves it is unknown."
    return (
        f"{points}, and its 95 % interval goes from {signed(found.low)} to "
        f"{signed(found.high)} ({plural(found.num_seeds, 'paired seed')})."
    )


def _why(found: Verdict) -> list[str]:
    if found.word == "undecided" and found.num_seeds < MIN_SEEDS:
        return [
            f"Fewer than {MIN_SEEDS} seeds decide nothing: the same command with "
            f"--seeds {MIN_SEEDS} or more adds them to this experiment."
        ]
    if found.word == "undecided":
        return [
            f"The interval allows both no gain and one of {MARGIN} points or more: "
            "more seeds would narrow it. The same command with more --seeds adds them "
            "to this experiment; the verdict then says that you had looked."
        ]
    if found.word == "gain":
        return ["The interval lies above zero against every control that was run."]
    if is_given_up(found):
        return []
    return [f"The interval rules out a gain of {MARGIN} points or more."]


def _ahead(facts: Facts, compared: Sequence[str | None]) -> list[str]:
    """The best row, where it is none of those that the verdict compares."""
    means = {row: fmean(seeds.values()) for row, seeds in tops(facts).items()}
    best = max(means, key=means.__getitem__, default=None)
    if best in (None, *compared) or (best in METHODS and METHODS[best].is_oracle):
        return []
    return [f"The best method is none of these: {best}, {number(means[best])} %."]


def _progress(facts: Facts) -> str:
    if facts.num_trainings is None:
        return "It has not begun to train."
    said = f"{facts.num_done} of {plural(facts.num_trainings, 'cell')} are done"
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
