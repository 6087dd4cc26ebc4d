"""Which controls there is time for, where the user leaves it open.

A few real steps are timed. They decide nothing but the methods that are run, and the
run folder keeps the choice, so a resumed run does not choose again.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from infaug.config import Controls, RoundsConfig, RunConfig
from infaug.data.dataset import Labelled
from infaug.data.problem import Splits, divide
from infaug.data.source import Source
from infaug.experiment.methods import ANSWERS, methods_of
from infaug.experiment.plan import with_fewer_folds
from infaug.experiment.trainings import plan_trainings
from infaug.training.alternation import assess, classify, estimate
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.training.train import TrainingSpec
from infaug.training.views import base_of
from infaug.world import World

FULL_UNDER_S = 30 * 60
MIN_STEPS = 300  # of F, in all: fewer teach it too little
MIN_FINE_TUNING_STEPS = 200  # of a network that begins with pretrained weights
FROZEN_IMAGES = 8  # whose activations are computed to time a step on them
FALLBACKS = ((3, 5), (3, 3), (2, 3), (1, 3), (1, 2))  # groups of ANSWERS, folds
TIMED_STEPS = 5
MAX_TIMED_S = 1.0  # for the steps of a kind: of slow ones two are timed
TIMED_PIXELS = 2**18  # of a step, and of forward passes: the others take as long


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds on this machine, of one process.

    Attributes:
        base_step: a step of F on base views.
        learned_step: a step of F with a view through G.
        estimator_step: a step of E and G by influence.
        lookahead_step: a step of E and G one step of F ahead; None where no method that
            is named learns so.
        image: F's forward pass of one image.
        frozen_step: a step of F on what its frozen layers made of views before; None
            where nothing is frozen.
    """

    base_step: float
    learned_step: float
    estimator_step: float
    lookahead_step: float | None = None
    image: float
    frozen_step: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Images of each split."""

    train: int
    influence: int
    selection: int
    test: int


def choose_controls(
    config: RunConfig, source: Source, device: torch.device, workers: int
) -> tuple[Controls, str]:
    """`full` if that is estimated to take under half an hour, else `quick`; and why."""
    splits = divide(source, config.data)
    pace = measure(config, splits, device)
    full, quick = (
        estimated_seconds(replace(config, controls=controls), splits, pace) / workers
        for controls in ("full", "quick")
    )
    chosen: Controls = "full" if full < FULL_UNDER_S else "quick"
    return chosen, (
        f"estimate from a few timed steps: {said(full)} with full controls, "
        f"{said(quick)} with quick ones; running {chosen} (--controls decides)"
    )


def choose_methods(
    config: RunConfig,
    splits: Splits,
    pace: Pace,
    jobs: int,
    *,
    fewer_folds: bool = False,
) -> tuple[RunConfig, str]:
    """The config with as many methods as its minutes allow, and what was decided.

    Where not even the first groups of `ANSWERS` fit, steps become fewer before methods
    do, and with `fewer_folds` folds as well.
    """
    budget = 60 * config.minutes

    def seconds(names: Sequence[str], config: RunConfig) -> float:
        # The chosen method is trained once more, on all images.
        requested = replace(config, methods=tuple(names), seeds=config.seeds + 1)
        return estimated_seconds(requested, splits, pace) / jobs

    is_pretrained = config.classifier.weights != "none"
    fewest = MIN_FINE_TUNING_STEPS if is_pretrained else MIN_STEPS
    smaller = config
    for num_groups, folds in FALLBACKS:
        worth = [name for group in ANSWERS[:num_groups] for name in group]
        folded = with_fewer_folds(config, folds if fewer_folds else None)
        at = partial(_with_steps, folded)
        steps = _steps_for(
            config.rounds, lambda n, at=at, w=worth: seconds(w, at(n)), budget, fewest
        )
        smaller = at(steps)
        if seconds(worth, smaller) <= budget:
            break
    chosen, left = list(ANSWERS[0]), []
    for group in ANSWERS[1:]:
        fits = seconds([*chosen, *group], smaller) <= budget
        (chosen if fits else left).extend(group)
    notes = [f"no time for {', '.join(left)}"] if left else []
    steps, most = smaller.rounds.classifier_steps, config.rounds.classifier_steps
    if steps != most:
        notes.append(f"{steps} steps a round in place of {most}")
    if smaller.data.folds != config.data.folds:
        notes.append(f"{smaller.data.folds} folds in place of {config.data.folds}")
    takes = seconds(chosen, smaller)
    if takes > budget:
        notes.append(f"longer than --minutes {config.minutes:g}: less teaches nothing")
    return replace(smaller, methods=tuple(chosen)), (
        f"estimate from a few timed steps: {said(takes)} for "
        f"{'; '.join([', '.join(chosen), *notes])} (--minutes and --methods decide)"
    )


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
    while seconds(steps) > budget and steps // 2 >= min_steps:
        steps //= 2
    return steps


def measure(config: RunConfig, splits: Splits, device: torch.device) -> Pace:
    """Time a few steps of F and E; nothing of them is kept.

    Of large images few are timed, and the others taken to need as long.
    """
    # In a single round E would learn nothing and have no schedule.
    rounds = replace(config.rounds, rounds=max(config.rounds.rounds, 2))
    _, height, width = splits.train.image_shape
    requested = replace(config, rounds=rounds)
    config = _with_few_images(requested, max(TIMED_PIXELS // (height * width), 1))
    of_f, of_e = (
        getattr(requested, part).batch_size / getattr(config, part).batch_size
        for part in ("classifier", "estimator")
    )
    training = Training(METHODS["base"], 0, splits, config, World(), device)
    base_step = _seconds_a_step(
        classify(training, 0, range(TIMED_STEPS), splits.selection)
    )
    training = Training(METHODS["base_learned"], 0, splits, config, World(), device)
    selection = splits.selection.to(device)
    learned_step = _seconds_a_step(classify(training, 0, range(TIMED_STEPS), selection))
    training.s_val = torch.ones_like(training.s_val)  # Any S but zero takes as long.
    estimator_step = _seconds_a_step(estimate(training, 0, range(TIMED_STEPS)))
    num = min(len(splits.train), max(TIMED_PIXELS // (height * width), 1))
    some = splits.train.select(torch.arange(num))
    began = time.perf_counter()
    assess(training, some.to(device))
    image = (time.perf_counter() - began) / len(some)
    lookahead_step = _lookahead_step(config, splits, device)
    return Pace(
        base_step=base_step * of_f,
        learned_step=learned_step * of_f,
        estimator_step=estimator_step * of_e,
        lookahead_step=None if lookahead_step is None else lookahead_step * of_e,
        image=image,
        frozen_step=_frozen_step(config, splits, device, of_f),
    )


def _frozen_step(
    config: RunConfig, splits: Splits, device: torch.device, of_f: float
) -> float | None:
    """A step on activations, which are computed here for a few images only."""
    is_frozen = config.classifier.freeze != "none"
    if not is_frozen or not isinstance(splits.train, Labelled):
        return None
    some = splits.train.select(torch.arange(min(FROZEN_IMAGES, len(splits.train))))
    splits = replace(splits, train=some)
    training = Training(METHODS["base"], 0, splits, config, World(), device)
    with TemporaryDirectory() as folder:
        if not training.keep_activations(Path(folder)):
            return None
    return of_f * _seconds_a_step(
        classify(training, 0, range(TIMED_STEPS), splits.selection)
    )


def _with_few_images(config: RunConfig, most: int) -> RunConfig:
    """The config with batches of at most so many images, in groups as large.

    F hardly moves: a rate for large batches would make it diverge.
    """
    settings, estimator = config.classifier, config.estimator
    size = min(settings.batch_size // settings.batch_groups, most)
    groups = min(settings.batch_groups, most // size)
    few = min(estimator.batch_size, most)
    return replace(
        config,
        classifier=replace(
            settings, batch_size=size * groups, batch_groups=groups, learning_rate=1e-6
        ),
        estimator=replace(estimator, batch_size=few - few % groups),
        adversarial=replace(config.adversarial, batch_size=groups),  # It is not timed.
    )


def _lookahead_step(
    config: RunConfig, splits: Splits, device: torch.device
) -> float | None:
    """Only where it will be taken: it needs several times the memory."""
    named = methods_of(config) if config.methods else []
    method = next((each for each in named if each.looks_ahead), None)
    if method is None:
        return None
    training = Training(method, 0, splits, config, World(), device)
    return _seconds_a_step(estimate(training, 0, range(TIMED_STEPS)))


def _seconds_a_step(steps: Iterator[Any]) -> float:
    """The median; the first step also warms up, the last of F also assesses."""
    began, ends = time.perf_counter(), []
    for _ in islice(steps, TIMED_STEPS - 1):
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - began > MAX_TIMED_S:
            break
    return median(later - earlier for earlier, later in pairwise(ends))


def estimated_seconds(config: RunConfig, splits: Splits, pace: Pace) -> float:
    """What all trainings of a run take; conjugate gradients are left out as small.

    So is fitting G, for the same whichever controls are run: nothing hangs on it.
    """
    trainings = plan_trainings(config, methods_of(config), range(config.seeds))
    trained = [training for training in trainings if not training.fits_generator]
    sizes = Sizes(
        train=len(splits.train),
        influence=len(splits.influence),
        selection=len(splits.selection),
        test=len(splits.test),
    )
    alone = sum(seconds_of_training(training, sizes, pace) for training in trained)
    return alone + seconds_of_activations(trained, sizes, pace)


def seconds_of_activations(
    trainings: Sequence[TrainingSpec], sizes: Sizes, pace: Pace, workers: int = 1
) -> float:
    """What frozen layers take for all draws of the views that trainings share."""
    if pace.frozen_step is None:
        return 0.0
    kinds = set()
    for training in trainings:
        method = training.method
        base = base_of(method, training.config.rounds.base)
        own = training.seed if method.policy == "learned" or method.generator else None
        if _uses_activations(training):
            kinds |= {(view, base, method.stretches, own) for view in method.views}
    draws = trainings[0].config.classifier.frozen_views
    num = sizes.train + sizes.influence + sizes.selection + sizes.test
    return len(kinds) * num * draws * pace.image / workers


def _uses_activations(training: TrainingSpec) -> bool:
    method = training.method
    return not (method.is_learned or method.learns_policy or method.is_reweighted)


def seconds_of_training(
    training: TrainingSpec, sizes: Sizes, pace: Pace, workers: int = 1
) -> float:
    """What a training takes, at a pace of one of its workers."""
    steps, method = training.steps, training.method
    through_g = method.is_learned or method.generator is not None
    influence = training.config.influence
    in_hessian = min(sizes.train, 2 * (influence.hessian_samples or sizes.train))
    num_views = len(method.views_of(training.config.classifier.views))
    refreshed = (num_views * in_hessian + sizes.influence) / workers
    step = pace.learned_step if through_g else pace.base_step
    if pace.frozen_step is not None and _uses_activations(training):
        step = pace.frozen_step
    if method.is_reweighted:  # Every view goes through F once more, to be judged.
        judged = num_views * training.config.classifier.batch_size
        step += judged / workers * pace.image
    e_step = pace.lookahead_step if method.looks_ahead else pace.estimator_step
    assert e_step is not None, "rows that look ahead are named, so it was timed"
    assessed = training.config.rounds.rounds * sizes.selection + sizes.test
    return (
        steps["classify"] * step
        + steps.get("estimate", 0) * e_step
        + (steps.get("refresh", 0) * refreshed + assessed) * pace.image
    )


def said(seconds: float) -> str:
    """Seconds, minutes from two of them on, hours from three.

    >>> said(90.4), said(3600), said(36000)
    ('90 seconds', '60 minutes', '10 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:.0f} hours"
