"""A finished training as it stood at its end, and the view its influences judge."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.augment.views import Mixed
from infaug.data.on_disk import OnDisk
from infaug.data.problem import Splits, divide
from infaug.data.source import load
from infaug.experiment.trainings import resolve
from infaug.experiment.verdict import CONTROLS_OF
from infaug.influence.operator import Solution
from infaug.precision import pick_device
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS
from infaug.training.solve import hessian_sample, solve_snapshot, take_snapshot
from infaug.training.state import Training
from infaug.training.train import TrainingSpec
from infaug.types import Augment
from infaug.world import World


@dataclass(frozen=True, eq=False)
class Finished:
    """A training with its final weights, F in evaluation mode."""

    training: Training
    splits: Splits
    source_index: Int64[Tensor, "N"]
    """Where each image F was trained on lies among the source's training images, those
    of its target counted on from them."""

    @property
    def name(self) -> str:
        """METHOD-seedK, as in the run's folder."""
        return f"{self.training.method.name}-seed{self.training.seed}"


def reload(run: Path, method: str | None = None, seed: int = 0) -> Finished:
    """A finished training; without a method, that of the verdict's learned method.

    Raises:
        ValueError: if `run` is no run, has not finished such a training, or if its
            images are gone or others.
    """
    folder = RunFolder(run)
    config = folder.config()
    name = _finished_method(folder, method, seed)
    kind = METHODS[name]
    source = load(config.data)
    folder.match_data(source.identity)
    splits = kind.divided(divide(source, config.data, seed))
    requested = TrainingSpec(method=kind, seed=seed, config=config)
    spec, inputs = resolve(requested, folder)
    training = Training(
        kind, seed, splits, spec.config, World(), pick_device(), inputs.generator
    )
    kept = folder.training(name, seed)
    training.classifier.load_state_dict(kept.weights("classifier"))
    if kind.is_learned:
        training.transform.load_state_dict(kept.weights("transform"))
    if kind.policy is not None:
        training.policy.load_state_dict(kept.weights("policy"))
    training.classifier.eval().requires_grad_(False)
    source_index, _ = splits.trained_on(kind.is_pooled)
    if kind.is_even:  # The driving images, which come last, are repeated.
        first, repeated = source_index.split([len(splits.train), len(splits.influence)])
        copies = (len(training.train) - len(first)) // len(repeated)
        source_index = torch.cat([first, repeated.repeat(copies)])
    return Finished(training, splits, source_index)


def _finished_method(folder: RunFolder, method: str | None, seed: int) -> str:
    finished = [
        name for name in METHODS if folder.training_result(name, seed) is not None
    ]
    wanted = [method] if method else [name for name in CONTROLS_OF if name in finished]
    if not wanted or wanted[0] not in finished:
        which = f"method {method}" if method else "a learned method"
        raise ValueError(
            f"{folder.path} has no finished training of {which} "
            f"with seed {seed}: it has {', '.join(finished) or 'none'}"
        )
    return wanted[0]


def judged_view(training: Training) -> Augment:
    """The method's last view that goes through E and G, or its last if none does.

    Not yet mixed with other images: I_aug judges x_aug with the label of x.
    """
    names = training.method.views_of(training.config.classifier.views)
    learned = [k for k, name in enumerate(names) if "learned" in name]
    augment = training.augments[learned[-1] if learned else -1]
    return augment.augment if isinstance(augment, Mixed) else augment


def solve_s_val(finished: Finished, key: str, *, is_sampled: bool = False) -> Solution:
    """S at F's own head, as training solves for it; `key` seeds what is drawn.

    H averages over all training images, or over a sample of them, as it does where
    they are streamed.
    """
    training, config = finished.training, finished.training.config.influence
    snapshot = take_snapshot(
        training.classifier, training.augments, config,
        training.seed, key, start=training.s_val,
    )  # fmt: skip
    train = training.train
    if is_sampled or isinstance(train, OnDisk):
        train = hessian_sample(train, config, training.seed, key, world=World())
    influence = finished.splits.influence.to(training.device)
    return solve_snapshot(
        snapshot, train.to(training.device), influence, config, World()
    )
