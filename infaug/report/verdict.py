"""Answer and verdict in words, for a terminal and for the top of a page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from infaug.experiment.verdict import MARGIN, MIN_SEEDS, Verdict, tops_of
from infaug.report.experiment_data import ExperimentData
from infaug.report.words import MINUS, PHASES, listed, number
from infaug.training.methods import METHODS, RANDOM, RANDOM_METHODS
from infaug.words import plural

HEADLINES = {
    "gain": "Learning the augmentation helped.",
    "no gain": "Learning the augmentation brought nothing here.",
    "undecided": "Whether learning the augmentation helped is undecided.",
    "none": "No learned augmentation was tried.",
    "unfinished": "This experiment is not finished, and nothing is decided yet.",
}


def describe(found: Verdict, *, is_folded: bool = False) -> str:
    """One sentence that begins with the verdict's word.

    >>> describe(Verdict(word="none", method=None))
    'none: no learned method was run'
    """
    word = found.word
    is_open = word == "undecided" and found.num_seeds >= MIN_SEEDS
    if is_open and found.high is not None and found.high >= 0:
        word = f"undecided, at most {found.high:+.2f} points"
    return f"{word}: {'; '.join(_parts(found, is_folded))}"


def _parts(found: Verdict, is_folded: bool) -> list[str]:
    """The verdict's numbers, and what they lack."""
    repeated = "judged fold" if is_folded else "seed"
    parts, notes = [_against_closest(found, repeated)], found.notes
    if found.missing:  # `none` is the name of one
        named = ", ".join(f"`{name}`" for name in found.missing)
        parts.append(f"controls not run: {named}")
    if found.method and found.num_seeds < MIN_SEEDS:
        more = plural(MIN_SEEDS - found.num_seeds, f"more {repeated}")
        parts.append(f"at least {more} needed")
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


def _against_closest(found: Verdict, repeated: str) -> str:
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
        f"{plural(found.num_seeds, repeated)})"
    )


def is_given_up(found: Verdict) -> bool:
    """Whether the learned view was given up on every seed."""
    return len(found.notes.get("given_up", ())) == found.num_seeds > 0


def describe_answer(answer: Mapping[str, Any]) -> str:
    """What is handed over, how good it is, and what learning was worth.

    >>> describe_answer({"method": "pooled", "members": ["pooled"],
    ...     "accuracy": 91.25, "low": 80.0, "high": 97.0, "num_images": 60,
    ...     "learned_worth": None})[:34]
    'pooled is right for 91.2 % of imag'
    """
    return f"{_accuracy(answer)}; {_worth(answer)}"


def _accuracy(answer: Mapping[str, Any]) -> str:
    by = answer["method"]
    if len(answer["members"]) > 1:
        by = f"the average of {by}"
    return (
        f"{by} is right for {answer['accuracy']:.1f} % of images like the "
        f"{answer['num_images']:,} that were judged out of fold "
        f"({answer['low']:.1f} to {answer['high']:.1f} %)"
    )


def _worth(answer: Mapping[str, Any]) -> str:
    if (worth := answer["learned_worth"]) is None:
        return "no learned method was compared"
    return (
        f"the learned augmentation is worth {worth['difference']:+.1f} points "
        f"({worth['low']:+.1f} to {worth['high']:+.1f}: {worth['method']} against "
        f"{worth['control']})"
    )


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What the top of the page says."""

    headline: str
    leads: tuple[str, ...]
    """The numbers that matter, or how far the experiment is."""
    sentences: tuple[str, ...]
    """What these rest on, and what was not run."""


def verdict_so_far(experiment: ExperimentData) -> Verdict:
    """The stored verdict; while the experiment goes on, that on finished trainings.

    Controls that are still to come do not count as missing.
    """
    found = Verdict.from_dict(experiment.summary["verdict"])
    if experiment.is_finished:
        return found
    planned = set(experiment.methods)
    if planned & set(RANDOM_METHODS):
        planned.add(RANDOM)
    missing = tuple(name for name in found.missing if name not in planned)
    return replace(found, missing=missing)


def conclude(experiment: ExperimentData) -> Conclusion:
    """Answer and verdict, what they rest on, and what was not run."""
    found, is_folded = verdict_so_far(experiment), experiment.is_folded
    word = found.word if experiment.is_finished else "unfinished"
    headline, leads = HEADLINES[word], [_compared(experiment, found)]
    sentences = _parts(found, is_folded)
    if found.closest is not None and experiment.is_finished:
        sentences += _why(found, is_folded)
    answer = (experiment.result or {}).get("answer")
    if answer:
        headline = _accuracy(answer)
        leads = [
            _worth(answer),
            "each of these images was judged by a classifier that did not see it; the "
            "classifier that infaug predict uses was then trained by "
            f"{answer['method']} on all labelled images",
        ]
    else:
        sentences += _ahead(experiment, (found.method, found.closest))
    if not experiment.is_finished:
        leads, sentences = [_progress(experiment)], [*leads, *sentences]
    return Conclusion(
        headline=_sentence(headline),
        leads=tuple(map(_sentence, leads)),
        sentences=tuple(map(_sentence, sentences)),
    )


def _sentence(text: str) -> str:
    """With a full stop and true minus signs; a number and its unit stay together."""
    if text.split()[0] not in {*METHODS, RANDOM}:  # names stay as they are
        text = text[0].upper() + text[1:]
    whole = text if text.endswith(".") else f"{text}."
    return re.sub(r"(?<!\w)-(?=\d)", MINUS, whole).replace(" %", "\N{NO-BREAK SPACE}%")


def _compared(experiment: ExperimentData, found: Verdict) -> str:
    if found.method is None:
        return "No learned method is finished."
    if found.closest is None:
        return f"{found.method} can be compared with nothing: no control was run."
    top1 = tops_of(experiment.found)
    both = set(top1.get(found.method, {})) & set(top1.get(found.closest, {}))
    if not both:
        return f"{found.method} was compared with {found.closest}."
    ours, theirs = (
        number(fmean(top1[name][seed] for seed in both))
        for name in (found.method, found.closest)
    )
    images = "judged images" if experiment.is_folded else "test images"
    return (
        f"With the learned augmentation {ours} % of the {images} are recognised; "
        f"with the closest control, {theirs} %."
    )


def _why(found: Verdict, is_folded: bool) -> list[str]:
    if found.word == "gain":
        return ["The interval lies above zero against every control that was run."]
    if found.word == "no gain":
        rules_out = f"The interval rules out a gain of {MARGIN} points or more."
        return [] if is_given_up(found) else [rules_out]
    remedy = "more labelled images" if is_folded else "more --seeds"
    return [
        f"The interval allows both no gain and one of {MARGIN} points or more: "
        f"{remedy} would narrow it."
    ]


def _ahead(experiment: ExperimentData, compared: Sequence[str | None]) -> list[str]:
    """The best method, where it is none of those that the verdict compares."""
    methods = experiment.summary["methods"]
    means = {name: method["mean"] for name, method in methods.items()}
    best = max(means, key=means.__getitem__, default=None)
    if best in (None, *compared) or (best in METHODS and METHODS[best].is_oracle):
        return []
    return [f"The best method is none of these: {best}, {number(means[best])} %."]


def _progress(experiment: ExperimentData) -> str:
    if experiment.num_trainings is None:
        return "It has not begun to train."
    total = plural(experiment.num_trainings, "training")
    done = f"{experiment.num_done} of {total} are done"
    last = experiment.metrics[-1] if experiment.metrics else None
    if last is None:
        return f"{done}."
    phase = PHASES.get(last["phase"], last["phase"])
    return (
        f"{done}; the last line written is of {last['method']} seed {last['seed']}, "
        f"round {last['round'] + 1}, {phase}, at {experiment.as_of:%Y-%m-%d %H:%M} UTC."
    )
