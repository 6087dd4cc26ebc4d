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
from typing import Any, NamedTuple

import torch

from infaug.config import RunConfig
from infaug.data.dataset import Labelled
from infaug.data.problem import Splits
from infaug.experiment.methods import methods_of
from infaug.experiment.trainings import plan_trainings
from infaug.training.alternation import assess, classify, estimate
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.training.train import TrainingSpec
from infaug.training.views import base_of
from infaug.world import World

FROZEN_IMAGES = 8  # whose activations are computed to time a step on them
LOOKAHEAD = 3  # times a step of E: it goes through a step of F, and back
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
        image: F's forward pass of one image.
        frozen_step: a step of F on what its frozen layers made of views before; None
            where nothing is frozen.
    """

    base_step: float
    learned_step: float
    estimator_step: float
    image: float
    frozen_step: float | None = None

    def of_share(self, share: float) -> "Pace":
        """The same where a process has only a share of every batch."""
        steps = {k: v and v * share for k, v in vars(self).items() if "step" in k}
        return replace(self, **steps)


class Sizes(NamedTuple):
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
    config = _with_few_images(requested, max(TIMED_PIXELS // (height * width), 1))
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
    num = min(len(splits.train), max(TIMED_PIXELS // (height * width), 1))
    some = splits.train.select(torch.arange(num))
    began = time.perf_counter()
    assess(training, some.to(device))
    image = (time.perf_counter() - began) / len(some)
    return Pace(
        base_step=base_step * of_f,
        learned_step=learned_step * of_f,
        estimator_step=estimator_step * of_e,
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


def _seconds_a_step(steps: Iterator[Any]) -> float:
    """The median; the first step also warms up."""
    began, ends = time.perf_counter(), []
    for _ in islice(steps, TIMED_STEPS - 1):
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - began > MAX_TIMED_S:
            break
    return median(later - earlier for earlier, later in pairwise(ends))


def estimated_seconds(config: RunConfig, splits: Splits, pace: Pace) -> float:
    """What all trainings of a run take."""
    plan = plan_trainings(config, methods_of(config), range(config.seeds))
    parts = (splits.train, splits.influence, splits.selection, splits.test)
    return seconds_of(plan, Sizes(*map(len, parts)), pace)


def seconds_of(
    plan: Sequence[TrainingSpec], sizes: Sizes, pace: Pace, workers: int = 1
) -> float:
    """What trainings take, at a pace of one of the workers that share each.

    Conjugate gradients are left out as small. So is fitting G, for the same whichever
    controls are run: nothing hangs on it.
    """
    trained = [training for training in plan if not training.fits_generator]
    alone = sum(_seconds_of(training, sizes, pace, workers) for training in trained)
    return alone + _seconds_of_activations(trained, sizes, pace) / workers


def _seconds_of_activations(
    trainings: Sequence[TrainingSpec], sizes: Sizes, pace: Pace
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
    return len(kinds) * sum(sizes) * draws * pace.image


def _uses_activations(training: TrainingSpec) -> bool:
    method = training.method
    return not (method.is_learned or method.learns_policy or method.is_reweighted)


def _seconds_of(
    training: TrainingSpec, sizes: Sizes, pace: Pace, workers: int
) -> float:
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
    e_step = pace.estimator_step * (LOOKAHEAD if method.looks_ahead else 1)
    assessed = training.config.rounds.rounds * sizes.selection + sizes.test
    return (
        steps["classify"] * step
        + steps.get("estimate", 0) * e_step
        + (steps.get("refresh", 0) * refreshed + assessed) * pace.image
    )
