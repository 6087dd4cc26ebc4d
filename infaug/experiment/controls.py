"""Which controls there is time for, where the user leaves it open.

The run folder keeps the choice, so a resumed run does not choose again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from infaug.config import Controls, RoundsConfig, RunConfig
from infaug.data.problem import divide
from infaug.data.source import Source
from infaug.experiment.methods import answers_of
from infaug.experiment.pace import Pace, estimated_seconds, measure, sizes_of
from infaug.experiment.plan import with_fewer_folds
from infaug.training.methods import METHODS

FULL_UNDER_S = 30 * 60
MIN_STEPS = 300  # of F, in all: fewer teach it too little
MIN_FINE_TUNING_STEPS = 200  # of a network that begins with pretrained weights
FALLBACKS = ((4, 5), (4, 3), (2, 3), (1, 3), (1, 2))  # groups of answers_of, folds


def choose(
    config: RunConfig,
    source: Source,
    device: torch.device,
    processes: int,
    *,
    fewer_folds: bool,
) -> tuple[RunConfig, list[str], Pace | None]:
    """The config with what there is time for, why, and the pace that was measured.

    Nothing is measured where the config leaves nothing open. `processes` share a
    training, or do several at a time.
    """
    if config.controls != "auto" or config.methods:
        return config, [], None
    pace = measure(config, divide(source, config.data), device)
    if config.data.folds:
        config, why = choose_methods(
            config, source, pace, processes, fewer_folds=fewer_folds
        )
    else:
        config, why = choose_controls(config, source, pace, processes)
    return config, [why], pace


def choose_controls(
    config: RunConfig, source: Source, pace: Pace, processes: int
) -> tuple[RunConfig, str]:
    """`full` if that is estimated to take under half an hour, else `quick`; and why."""
    sizes = sizes_of(source, config)
    full, quick = (
        estimated_seconds(
            replace(config, controls=controls), sizes, pace, at_once=processes
        )
        for controls in ("full", "quick")
    )
    chosen: Controls = "full" if full < FULL_UNDER_S else "quick"
    return replace(config, controls=chosen), (
        f"estimate from a few timed steps: {said(full)} with full controls, "
        f"{said(quick)} with quick ones; running {chosen} (--controls decides)"
    )


def choose_methods(
    config: RunConfig,
    source: Source,
    pace: Pace,
    at_once: int,
    *,
    fewer_folds: bool = False,
) -> tuple[RunConfig, str]:
    """The config with as many methods as its minutes allow, and what was decided.

    Where not even the first groups of `answers_of` fit, steps become fewer before
    methods do, and with `fewer_folds` folds as well.
    """
    budget = 60 * config.minutes

    def seconds(names: Sequence[str], config: RunConfig) -> float:
        requested = replace(config, methods=tuple(names))
        return estimated_seconds(requested, sizes, pace, at_once=at_once)

    is_pretrained = config.classifier.weights != "none"
    fewest = MIN_FINE_TUNING_STEPS if is_pretrained else MIN_STEPS
    smaller, answers = config, answers_of(config)
    for num_groups, folds in FALLBACKS:
        worth = [name for group in answers[:num_groups] for name in group]
        folded = with_fewer_folds(config, folds if fewer_folds else None)
        at, sizes = partial(_with_steps, folded), sizes_of(source, folded)
        steps = _steps_for(
            config.rounds, lambda n, at=at, w=worth: seconds(w, at(n)), budget, fewest
        )
        smaller = at(steps)
        if seconds(worth, smaller) <= budget:
            break
    chosen, left = list(answers[0]), []
    for group in answers[1:]:
        fits = seconds([*chosen, *group], smaller) <= budget
        (chosen if fits else left).extend(group)
    notes = [f"no time for {', '.join(left)}"] if left else []
    steps, most = smaller.rounds.classifier_steps, config.rounds.classifier_steps
    if steps != most:
        notes.append(f"{steps} steps a round in place of {most}")
    if smaller.data.folds != config.data.folds:
        parts = sizes_of(source, smaller)
        notes.append(
            f"{smaller.data.folds} folds in place of {config.data.folds}, in each "
            f"{parts.test} are judged, {parts.influence + parts.selection} teach"
        )
    takes = seconds(chosen, smaller)
    if takes > budget:
        notes.append(f"longer than --minutes {config.minutes:g}: less teaches nothing")
    first = next((k for k, of in enumerate(answers) if _learns(of)), None)
    if first is not None and not _learns(chosen):
        compared = [name for group in answers[: first + 1] for name in group]
        minutes = math.ceil(1.1 * seconds(compared, smaller) / 60)
        notes.append(f"to compare a learned view, --minutes {minutes}")
    return replace(smaller, methods=tuple(chosen)), (
        f"estimate from a few timed steps: {said(takes)} for "
        f"{'; '.join([', '.join(chosen), *notes])} (--minutes and --methods decide)"
    )


def _learns(group: Sequence[str]) -> bool:
    return any(METHODS[name].has_learned_view for name in group)


def _with_steps(config: RunConfig, classifier_steps: int) -> RunConfig:
    rounds = replace(config.rounds, classifier_steps=classifier_steps)
    return replace(config, rounds=rounds)


def _steps_for(
    rounds: RoundsConfig,
    seconds: Callable[[int], float],
    budget: float,
    fewest: int = MIN_STEPS,
) -> int:
    """Steps of F in a round: halved until they fit, but the `fewest` in all.

    >>> _steps_for(RoundsConfig(rounds=10, classifier_steps=100), float, budget=60)
    50
    """
    steps, min_steps = rounds.classifier_steps, math.ceil(fewest / rounds.rounds)
    while seconds(steps) > budget and steps > min_steps:
        steps = max(steps // 2, min_steps)
    return steps


def said(seconds: float) -> str:
    """Seconds, minutes from two of them on, hours from three.

    >>> said(90.4), said(3600), said(36000)
    ('90 seconds', '60 minutes', '10 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:.0f} hours"
