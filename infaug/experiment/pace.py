"""How long a run takes: a few real steps are timed, the others counted.

Nothing of the steps is kept, and they decide nothing but which methods are run.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from infaug.config import RunConfig
from infaug.data.dataset import Labelled
from infaug.data.images import Source
from infaug.data.problem import Splits, positions
from infaug.experiment.execute import final_plan, plan_of
from infaug.experiment.methods import methods_of
from infaug.training.alternation import assess, classify, estimate
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.training.train import TrainingSpec
from infaug.training.views import base_of
from infaug.world import World

FROZEN_IMAGES = 8  # whose activations are computed to time a step on them
TIMED_STEPS = 5
MAX_TIMED_S = 1.0  # for the steps of a kind: of slow ones two are timed
TIMED_PIXELS = 2**16  # of a step, and of forward passes: the others take as long


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


def measure(config: RunConfig, splits: Splits, device: torch.device) -> Pace:
    """Time a few steps of F and E; nothing of them is kept.

    Of large images few are timed, and the others taken to need as long.
    """
    # In a single round E would learn nothing and have no schedule.
    rounds = replace(config.rounds, rounds=max(config.rounds.rounds, 2))
    _, height, width = splits.train.image_shape
    requested = replace(config, rounds=rounds)
    most = max(TIMED_PIXELS // (height * width), 1)
    config = _with_few_images(requested, most)
    of_f, of_e = (
        getattr(requested, part).batch_size / getattr(config, part).batch_size
        for part in ("classifier", "estimator")
    )
    training = Training(METHODS["base"], 0, splits, config, World(), device)
    base_step = _seconds_a_step(classify(training, 0, range(TIMED_STEPS), None))
    training = Training(METHODS["base_learned"], 0, splits, config, World(), device)
    learned_step = _seconds_a_step(classify(training, 0, range(TIMED_STEPS), None))
    training.s_val = torch.ones_like(training.s_val)  # Any S but zero takes as long.
    estimator_step = _seconds_a_step(estimate(training, 0, range(TIMED_STEPS)))
    some = splits.train.select(torch.arange(min(len(splits.train), most)))
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
    if config.classifier.freeze == "none" or not isinstance(splits.train, Labelled):
        return None
    some = splits.train.select(torch.arange(min(FROZEN_IMAGES, len(splits.train))))
    splits = replace(splits, train=some)
    training = Training(METHODS["base"], 0, splits, config, World(), device)
    with TemporaryDirectory() as folder:
        if not training.keep_activations(Path(folder)):
            return None
    return of_f * _seconds_a_step(classify(training, 0, range(TIMED_STEPS), None))


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
    """The median; the first step also warms up."""
    began, ends = time.perf_counter(), []
    for _ in islice(steps, TIMED_STEPS - 1):
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - began > MAX_TIMED_S:
            break
    return median(later - earlier for earlier, later in pairwise(ends))


def sizes_of(source: Source, config: RunConfig) -> Sizes:
    """How many images serve each purpose in the first repetition."""
    at = positions(source, config.data)
    return Sizes(
        train=len(at.train),
        influence=len(at.influence),
        selection=len(at.selection),
        test=len(at.test) if source.test is None else len(source.test),
    )


def estimated_seconds(
    config: RunConfig, sizes: Sizes, pace: Pace, *, workers: int = 1, at_once: int = 1
) -> float:
    """What all trainings of a run take; conjugate gradients are left out as small.

    So is fitting G, for the same whichever controls are run: nothing hangs on it. With
    folds as many methods as an average may have are at last trained on all images; it
    is not known yet which, so those that take longest are counted.

    Args:
        config: resolved.
        sizes: of its images.
        pace: of one worker.
        workers: that train together.
        at_once: trainings that are done side by side.
    """
    plan = trained_in(config)

    def seconds(trainings: Sequence[TrainingSpec]) -> float:
        return sum(seconds_of_training(t, sizes, pace, workers) for t in trainings)

    alone = seconds(plan) + seconds_of_activations(plan, sizes, pace, workers)
    longest = sorted(
        (seconds(final_plan(config, [name])) for name in may_be_chosen(config, plan)),
        reverse=True,
    )[: config.members]
    last = sum(longest) / min(at_once, max(len(longest), 1))
    return alone / min(at_once, len(plan)) + last


def may_be_chosen(config: RunConfig, plan: Sequence[TrainingSpec]) -> set[str]:
    """The methods that are trained on all images if they are the best; with folds."""
    if not config.data.folds:
        return set()
    return {training.method.name for training in plan if not training.candidate}


def trained_in(config: RunConfig) -> list[TrainingSpec]:
    """The trainings of F in a run, but for the last one of an experiment with folds."""
    return [spec for spec in plan_of(config) if not spec.fits_generator]


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
    num_draws = trainings[0].config.classifier.frozen_views
    num = sizes.train + sizes.influence + sizes.selection + sizes.test
    return len(kinds) * num * num_draws * pace.image / workers


def _uses_activations(training: TrainingSpec) -> bool:
    return not (training.method.learns_views or training.method.is_reweighted)


def seconds_of_training(
    training: TrainingSpec, sizes: Sizes, pace: Pace, workers: int = 1
) -> float:
    """What a training takes, at a pace of one of its workers."""
    steps, method = training.steps, training.method
    influence = training.config.influence
    in_hessian = min(sizes.train, 2 * (influence.hessian_samples or sizes.train))
    num_views = len(method.views_of(training.config.classifier.views))
    refreshed = (num_views * in_hessian + sizes.influence) / workers
    step = pace.learned_step if method.uses_generator else pace.base_step
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
