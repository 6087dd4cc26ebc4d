"""One training, from wherever it stands to its result. Nothing else trains.

What it takes from other trainings is given to it: it knows its own folder, and not the
experiment it belongs to.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from infaug.classify.batchnorm import adapt_statistics
from infaug.config import RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.loader import Loader
from infaug.data.on_disk import ImageSet
from infaug.data.problem import Splits
from infaug.data.share import local_part, local_rows
from infaug.record.display import Display
from infaug.record.steps import MetricsWriter
from infaug.record.store import GeneratorStore
from infaug.record.training_folder import TrainingFolder
from infaug.record.training_logger import TrainingLogger, writers_in
from infaug.state import State
from infaug.training.activations import FOLDER as ACTIVATIONS
from infaug.training.alternation import (
    assess,
    estimator_steps,
    first_taught,
    predict,
    run_alternation,
)
from infaug.training.generator_fit import GeneratorFit, fit_and_keep
from infaug.training.methods import GENERATOR, Method
from infaug.training.overlap import Solver
from infaug.training.state import Training
from infaug.world import World

MAX_ADAPTED = 256  # images whose statistics BatchNorm takes: they are one batch


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a cluster does for a run; none of it makes a difference to the result."""

    solver: Solver | None = None
    """Solves for every S, beside training; None: this process does."""
    loader: Loader | None = None
    """Decodes images that are streamed; None: threads of this process."""
    loader_name: str = "threads of this process"
    """The loader in words."""
    writers: Sequence[MetricsWriter] = ()
    """Each receives what this process logs."""
    is_leaving: Callable[[], bool] | None = None
    """Whether a machine of this run will be taken away soon. All processes of a run ask
    together, and all get the same answer."""


ALONE = Services()


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """A training that is to be done.

    Attributes:
        method: the method, what F trains on.
        seed: repetition.
        config: resolved; a candidate of `base_tuned` has its own base and fewer steps.
        candidate: the base augmentation that is tried, if that is what it is for.
        sees_test: whether test images are looked at in the end; never to choose.
    """

    method: Method
    seed: int
    config: RunConfig
    candidate: str | None = None
    sees_test: bool = True

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each phase of the whole training."""
        rounds = self.config.rounds
        if self.fits_generator:
            return {"adversary": self.config.adversarial.steps}
        steps = {"classify": rounds.rounds * rounds.classifier_steps}
        is_once = self.method.is_learned and rounds.s_val == "once"
        if self.method.is_learned:
            steps["estimate"] = estimator_steps(rounds)
            steps["review"] = 0 if is_once else rounds.rounds - 1
        if self.method.learns_policy:
            silent = first_taught(self.config) * rounds.estimator_steps
            steps["estimate"] = estimator_steps(rounds) - silent
        if self.method.solves_s_val:
            steps["refresh"] = 1 if is_once else rounds.rounds - 1
        return steps

    @property
    def fits_generator(self) -> bool:
        """Whether the seed's G is fitted here, and no F trained."""
        return self.method == GENERATOR


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a training takes from those before it; None where it takes nothing."""

    generator: State | None = None
    """The G it begins with."""
    driver: State | None = None
    """The F that drives E where s_val is solved once."""
    features: State | None = None
    """The F whose features a critic sees."""
    policy: State | None = None
    """The policy it draws views by; none: the uniform one."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What its result says of how it was chosen."""


Scores = Callable[[Training], Mapping[str, Any]]


def train(
    spec: TrainingSpec,
    splits: Splits,
    folder: TrainingFolder,
    world: World,
    device: torch.device,
    *,
    inputs: Inputs,
    display: Display,
    number: int = 0,
    services: Services = ALONE,
    store: GeneratorStore | None = None,
    prepare: Callable[[Training], None] | None = None,
    scores_of: Scores | None = None,
) -> dict[str, Any]:
    """Do a training, or continue it from its last checkpoint; a finished one stays.

    Every process of the world calls this with the same arguments.

    Args:
        spec: what is trained.
        splits: the images.
        folder: of this training; only the first process writes there.
        world: who trains together.
        device: where everything lies.
        inputs: what it takes from other trainings.
        display: shows progress.
        number: of this training, as `display` counts them.
        services: of a cluster.
        store: fitted generators of this and other experiments.
        prepare: changes the training before it begins.
        scores_of: what else the result holds of the trained F.

    Returns:
        Method and seed, losses in nats and accuracies in percent on selection and, if
        `sees_test`, on test images.

    Raises:
        ValueError: if a loss, a gradient or S is not finite, or the folder cannot be
            written.
    """
    if (finished := world.first(folder.result)) is not None:
        return finished
    writers = [*(writers_in(folder) if world.is_first else []), *services.writers]
    rounds = spec.config.rounds
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked()))
        logger = TrainingLogger(
            folder, number, rounds, world, display, writers, services.is_leaving
        )
        stack.enter_context(contextlib.closing(logger))
        if spec.fits_generator:
            fit = GeneratorFit(
                spec.seed, splits, spec.config, world, device, inputs.features
            )
            return fit_and_keep(fit, logger, store)
        splits = spec.method.divided(splits)
        training = Training(
            spec.method, spec.seed, splits, spec.config, world, device,
            inputs.generator, inputs.driver, inputs.policy,
        )  # fmt: skip
        if prepare is not None:
            prepare(training)
        else:
            training.keep_activations(folder.run / ACTIVATIONS)
        if logger.state is not None:
            training.load(logger.state)
        run_alternation(training, splits, logger, services.solver)
        found = _judge(spec, training, splits, inputs)
        keep = partial(_keep, spec, training, splits, logger, found, scores_of)
        found = world.first(keep)
        logger.say(_summary(found, splits.is_folded))
        return found


def _judge(
    spec: TrainingSpec, training: Training, splits: Splits, inputs: Inputs
) -> dict[str, Any]:
    """What all processes find out about F together."""
    found: dict[str, Any] = {"method": spec.method.name, "seed": spec.seed}
    if spec.method.adapts:
        _adapt(training, splits)
    if not splits.selection_is_in_influence:
        found |= _scores("selection", training, splits.selection)
    if spec.sees_test and len(splits.test):
        # The only place where test images are looked at.
        found |= {**_scores("test", training, splits.test), **inputs.notes}
    return found


def _keep(
    spec: TrainingSpec,
    training: Training,
    splits: Splits,
    logger: TrainingLogger,
    found: dict[str, Any],
    scores_of: Scores | None,
) -> dict[str, Any]:
    judged: State = {}
    if spec.sees_test and len(splits.test) and splits.is_folded:
        judged = _judged(training, splits)
    if training.method.is_learned:
        found["strength"] = training.strength
    if scores_of is not None:
        found |= scores_of(training)
    # A candidate was tried to be chosen or not: its weights are not needed.
    weights = {} if spec.candidate is not None else training.weights()
    if judged:
        weights["judged"] = judged
    logger.finish(weights, found)
    return found


def _adapt(training: Training, splits: Splits) -> None:
    """BatchNorm takes the statistics of the target images, without their labels."""
    parts, world = [splits.influence], training.world
    if not splits.selection_is_in_influence:
        parts.append(splits.selection)
    every = -(-sum(map(len, parts)) // MAX_ADAPTED)  # Sets are often sorted by class.
    images, before = list[Tensor](), 0
    for part in parts:
        first = before + local_rows(part, world).start
        own = local_part(part, world).images[-first % every :: every]
        images.append(world.gather(own.to(training.device)))
        before += len(part)
    x = to_float(torch.cat(images)).to(training.dtype)
    adapt_statistics(training.evaluated, x)


def _scores(name: str, training: Training, split: ImageSet) -> dict[str, Any]:
    found = assess(training, split.to(training.device))
    return {
        f"{name}_loss": found.loss,
        f"{name}_top1": found.accuracy,
        f"{name}_top5": found.top5,
        f"{name}_balanced": found.balanced,
        f"{name}_by_class": list(found.by_class),
    }


def _judged(training: Training, splits: Splits) -> State:
    """What F says of each image of the fold: log-probabilities [n, Y] in nats.

    `index` is where the images lie among the target images, or, where there are none,
    among all images.
    """
    assert splits.at is not None, "folds are of a source"
    assert isinstance(splits.test, Labelled), "folds are judged in memory"
    log_probs = predict(training, splits.test)
    labels = splits.test.labels
    return {"index": splits.at.test, "labels": labels, "log_probs": log_probs}


def _summary(found: Mapping[str, Any], is_folded: bool) -> str:
    split = next((s for s in ("test", "selection") if f"{s}_top1" in found), None)
    if split is None:
        return "trained on all labelled images"
    where = "out of fold" if split == "test" and is_folded else f"on {split}"
    score = f"{found[f'{split}_top1']:.2f} % top-1 {where}"
    base = f" (base {found['base']})" if "base" in found else ""
    return f"{score}{base}"
