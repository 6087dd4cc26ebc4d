"""A finished experiment, read: which training is meant, and its F, its E and G.

The one reader for predict, export, the API, trust, sweeps and reports. Trainings are
chosen by their loss on selection images, never on test.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from torch import Tensor, nn

from infaug.classify.ensemble import Ensemble
from infaug.classify.image_classifier import ImageClassifier
from infaug.classify.network import build_classifier
from infaug.config import ExportSeed, RunConfig
from infaug.data.problem import FINAL
from infaug.estimate.learned_transform import LearnedTransform, transform_of
from infaug.estimate.policy import Policy, policy_of
from infaug.record.folder import RunFolder
from infaug.record.training_folder import TrainingFolder
from infaug.state import fill
from infaug.training.methods import METHODS, Method

TRAIN_AGAIN = "copy the folder again, or train it again with another --out"


@dataclass(frozen=True, kw_only=True)
class FinishedTraining:
    """One finished training of an experiment."""

    folder: RunFolder
    method: Method
    seed: int
    how: str
    """How it was chosen, in words."""
    found: dict[str, Any]
    """Its result.json."""

    @property
    def home(self) -> TrainingFolder:
        """Where it lies."""
        return self.folder.training(self.method.name, self.seed)

    @property
    def name(self) -> str:
        """ROW-seedK or ROW-final, as in the run's folder."""
        return self.home.path.name

    @property
    def config(self) -> RunConfig:
        """The resolved config of the experiment."""
        return self.folder.config()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = data_of(self.folder)["image shape"]
        return channels, height, width

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the logits."""
        return tuple(data_of(self.folder)["classes"])

    def weights(self, part: str) -> dict[str, Tensor]:
        """What it kept as `part`, in float32 whatever it was trained in."""
        return {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in self.home.weights(part).items()
        }

    def classifier(self) -> ImageClassifier:
        """F in evaluation mode: images in [0, 1] to logits; it does not learn.

        Raises:
            ValueError: if the weights are not those of such an F, or F is a module of
                the user's that the command does not name.
        """
        network = self.config.classifier.network
        classifier = build_classifier(
            network, self.image_shape[0], len(self.class_names), 0
        )
        path = self._path("classifier")
        fill(classifier, self.weights("classifier"), path, TRAIN_AGAIN)
        return classifier.eval().requires_grad_(False)

    def transform(self) -> LearnedTransform:
        """E and G; they do not learn.

        Raises:
            ValueError: if the weights are not those of such an E and G.
        """
        return transform_of(
            self.config.transform, self.image_shape, self.weights("transform"),
            self._path("transform"), TRAIN_AGAIN,
        )  # fmt: skip

    def policy(self) -> Policy:
        """The policy that its views were drawn by; it does not learn.

        Raises:
            ValueError: if the weights are not those of such a policy.
        """
        return policy_of(
            self.config.policy, self.image_shape[0], self.weights("policy"),
            self._path("policy"), TRAIN_AGAIN,
        )  # fmt: skip

    def _path(self, part: str) -> Path:
        return self.home.path / f"{part}.safetensors"


@dataclass(frozen=True, kw_only=True)
class HandedOver:
    """What classifies in use: F of one training, or those of several, averaged."""

    trainings: tuple[FinishedTraining, ...]

    @property
    def name(self) -> str:
        """Of its trainings."""
        return " + ".join(training.name for training in self.trainings)

    @property
    def first(self) -> FinishedTraining:
        """The training that also tells of images and classes."""
        return self.trainings[0]

    def with_folds(self) -> "HandedOver":
        """With what the answer's methods were for each fold: often better.

        Raises:
            ValueError: if this is no answer that folds gave.
        """
        folder = self.first.folder
        if self.first.seed != FINAL:
            raise ValueError(
                f"--with-folds: {self.name} of {folder.path} is not its answer, or it "
                "has no folds: leave out --with-folds"
            )
        seeds = (FINAL, *range(folder.config().seeds))
        each = [(training.method.name, k) for training in self.trainings for k in seeds]
        return HandedOver(trainings=tuple(finished_training(folder, *t) for t in each))

    def classifier(self) -> nn.Module:
        """In evaluation mode: images in [0, 1] to logits; it does not learn.

        Raises:
            ValueError: as `FinishedTraining.classifier` does.
        """
        members = [training.classifier() for training in self.trainings]
        return Ensemble(members).eval() if len(members) > 1 else members[0]


def data_of(folder: RunFolder) -> dict[str, Any]:
    """What the experiment's images are.

    Raises:
        ValueError: if it does not say.
    """
    path = folder.path / "data.json"
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): without it the images of a run "
            "are unknown; train it again"
        ) from error


def finished_training(
    folder: RunFolder, method: str, seed: int, how: str = "asked for by number"
) -> FinishedTraining:
    """The training of this method and seed; `how` it was chosen, in words.

    Raises:
        ValueError: if it is not finished.
    """
    found = folder.training_result(method, seed)
    if found is None:
        raise ValueError(
            f"{folder.path} has no training of method {method!r} and seed {seed}"
        )
    return FinishedTraining(
        folder=folder, method=METHODS[method], seed=seed, how=how, found=found
    )


def choose_learned(
    folder: RunFolder, method: str | None = None, seed: ExportSeed = "best-on-selection"
) -> FinishedTraining:
    """The learned training requested; else that with the lowest selection loss.

    Without a method, the answer's final training with a learned view, if it has one.
    Seeds have selection images of their own, so between seeds the loss also tells how
    hard these are.

    Raises:
        ValueError: if there is no such training, or its learned view was given up.
    """
    learned = [name for name in METHODS if METHODS[name].has_learned_view]
    if method is not None and method not in learned:
        raise ValueError(
            f"--method {method} learns no augmentation: choose among "
            f"{', '.join(learned)}"
        )
    # Of a policy, the training that learned it: others may not choose by selection.
    candidates = [name for name in learned if METHODS[name].policy != "learned"]
    chosen = _choose(folder, method, seed, candidates, learned)[0]
    if chosen.found.get("strength") == 0:
        raise ValueError(
            f"the learned view of {chosen.method.name} seed {chosen.seed} was given up "
            "during training, as selection images suffered from it: keep the base "
            "augmentation, or choose another --method or --seed"
        )
    return chosen


def choose_classifier(
    folder: RunFolder, method: str | None = None, seed: ExportSeed = "best-on-selection"
) -> HandedOver:
    """What is used to classify; where left open, the final trainings of the answer.

    Without folds, and so without an answer, those of the method with the lowest mean
    selection loss.

    The oracle, which trains on images shifted as those of test, is no candidate.

    Raises:
        ValueError: if there is no such training.
    """
    if method is not None and method not in METHODS:
        raise ValueError(
            f"there is no --method {method}: choose among {', '.join(METHODS)}"
        )
    names = [name for name in METHODS if not METHODS[name].is_oracle]
    return HandedOver(trainings=_choose(folder, method, seed, names, names))


def _choose(
    folder: RunFolder,
    method: str | None,
    seed: ExportSeed,
    candidates: Collection[str],
    answers: Collection[str],
) -> tuple[FinishedTraining, ...]:
    """What is requested; else those of the answer among `answers`, or a candidate.

    Of candidates that with the lowest mean selection loss, then its best seed.
    """
    if method is None and seed == "best-on-selection":
        answer = (folder.result() or {}).get("answer") or {"members": ()}
        how = "chosen by folds, trained with no image left out to judge"
        if members := [name for name in answer["members"] if name in answers]:
            return tuple(finished_training(folder, n, FINAL, how) for n in members)
    finished = {
        name: found
        for name in ([method] if method else candidates)
        if (found := _results(folder, name))
    }
    if not finished:
        which = f"method {method}" if method else f"any of {', '.join(candidates)}"
        raise ValueError(
            f"{folder.path} has no finished training of {which} yet: it has one once "
            "the first seed of a method is finished"
        )
    name = method or min(finished, key=lambda name: _mean_loss(finished[name]))
    losses = {k: found.get("selection_loss", 0) for k, found in finished[name].items()}
    seeds = ", ".join(map(str, losses))
    if seed == "best-on-selection":
        number = min(losses, key=losses.__getitem__)
        how = f"lowest selection loss of seeds {seeds}"
    elif seed in losses:
        number, how = seed, "asked for by number"
    else:
        raise ValueError(
            f"--seed {seed} of {name} is not finished in {folder.path}: it has {seeds}"
        )
    if len(finished) > 1:
        among = ", ".join(finished)
        how = f"method with the lowest mean selection loss among {among}; {how}"
    return (finished_training(folder, name, number, how),)


def _results(folder: RunFolder, method: str) -> dict[int, dict[str, Any]]:
    """What its finished trainings found, by seed."""
    seeds = range(folder.config().seeds)
    found = {seed: folder.training_result(method, seed) for seed in seeds}
    return {seed: result for seed, result in found.items() if result is not None}


def _mean_loss(seeds: Mapping[int, dict[str, Any]]) -> float:
    return mean(found["selection_loss"] for found in seeds.values())
