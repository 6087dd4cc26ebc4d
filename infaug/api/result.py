"""What `infaug.fit` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from infaug.classify.given import Given, offered
from infaug.config import ExportConfig
from infaug.experiment.finished import (
    choose_classifier,
    choose_learned,
    data_of,
    finished_training,
)
from infaug.experiment.verdict import Verdict, Word
from infaug.export.learned_augment import LearnedAugment
from infaug.export.write import augment_of
from infaug.record.folder import RunFolder
from infaug.report.tables import result_text
from infaug.report.verdict import describe


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """Top-1 accuracy of a method on test images, percent."""

    mean: float
    std: float | None
    """None for one seed."""
    seeds: tuple[float, ...]
    """By seed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """What came of a run."""

    verdict: Word
    """Whether the learned augmentation helped."""
    sentence: str
    """The verdict in a sentence, with its interval."""
    methods: Mapping[str, MethodResult]
    """By name; what they are is in the README, under "What is compared"."""
    table: str
    """All of it as text."""
    seconds: Mapping[str, float]
    """Spent, by phase."""
    answer: Mapping[str, Any] | None
    """See `infaug.experiment.answer.Answer`; None without folds."""
    training: str
    """The trainings that `classifier` is of: the answer's, on all labelled images;
    without folds the one of the method with the lowest loss on selection images."""
    classifier: nn.Module
    """F, in evaluation mode: images in [0, 1] to logits, in order of `class_names`."""
    augment: LearnedAugment | None
    """A transform of torchvision's v2 kind; None if no learned view was kept."""
    class_names: tuple[str, ...]
    out: Path
    """The run's folder."""
    report: Path | None
    """A page with all of it, if one was written."""
    given: Given | None = field(default=None, repr=False)
    """The module that F was made of, if it was given."""

    def classifier_of(self, method: str, seed: int = 0) -> nn.Module:
        """The trained F of any method and seed, in evaluation mode.

        Raises:
            ValueError: if there is no such training.
        """
        with offered(self.given):
            return finished_training(RunFolder(self.out), method, seed).classifier()


def result_of(found: Mapping[str, Any], out: Path, given: Given | None) -> Result:
    """What a finished run's folder and its result hold."""
    folder = RunFolder(out)
    with offered(given):
        chosen = choose_classifier(folder)
        classifier = chosen.classifier()
    report = out / "report.html"
    verdict = Verdict.from_dict(found["verdict"])
    return Result(
        verdict=verdict.word,
        sentence=describe(verdict, is_folded="answer" in found),
        methods={
            name: MethodResult(
                mean=each["mean"], std=each["std"], seeds=tuple(each["seeds"])
            )
            for name, each in found["methods"].items()
        },
        table=result_text(found),
        seconds=found["seconds"],
        answer=found.get("answer"),
        training=chosen.name,
        classifier=classifier,
        augment=_learned(folder),
        class_names=tuple(data_of(folder)["classes"]),
        out=out,
        report=report if report.exists() else None,
        given=given,
    )


def _learned(folder: RunFolder) -> LearnedAugment | None:
    """The learned transform with the lowest selection loss; None if none was kept."""
    try:
        choose_learned(folder)
    except ValueError:
        return None
    return augment_of(folder.path, ExportConfig())[0]
