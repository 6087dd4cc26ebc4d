"""How far the answer stays behind the best method in hindsight, over many problems.

A problem is a set of labelled images, a few labelled images of a shifted target, and
the large rest of the target, at which nobody looks but the table made here. On each,
the answer is found by folds of the few; every method is then trained on all labelled
images, as the answer is, and scored on the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from corruption_kinds import SEVERITIES, corrupt
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from infaug.classify.ensemble import Ensemble
from infaug.classify.evaluate import evaluate
from infaug.config import DataConfig, RoundsConfig, RunConfig
from infaug.data.class_sizes import rank_in_class
from infaug.data.dataset import Labelled
from infaug.data.digits import digits
from infaug.data.download import write_parquet
from infaug.data.problem import FINAL
from infaug.data.shift import SHIFTS
from infaug.data.source import load
from infaug.experiment.finished import choose_classifier, finished_training
from infaug.experiment.out_of_fold import choose
from infaug.experiment.run import run, train_finals, train_without_folds
from infaug.experiment.summary import judged_by_method
from infaug.randomness import generator
from infaug.record.folder import RunFolder
from infaug.training.methods import METHODS

ANSWER = "the answer"
UNLEARNED = "the answer without learned views"
WITH_FOLDS = "the answer and its models of folds"
# What a sceptic would hand over without choosing.
FIXED = ("pooled", "pooled_policy", "policy_alone", "pooled_policy_alone")
# Corruptions that no operation makes, at their worst: nothing is ever chosen by them.
LAST = {"fog": "fog", "motion": "motion_blur"}
MAX_REST = 5000
FOLDS = 3  # Of 30 images 3 are of each class.


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Labelled images and a few of a shifted target.

    Attributes:
        name: of the data: digits, or what `places` of `solve` knows.
        shift: a name in `infaug.data.shift.SHIFTS`, or in `LAST`.
        labels: number of labelled source images.
        target: number of labelled target images, the same of each class.
        rounds: how long F is trained.
    """

    name: str
    shift: str
    labels: int
    target: int
    rounds: RoundsConfig

    @property
    def title(self) -> str:
        """What tables and folders call it."""
        return f"{self.name}, {self.shift}, {self.target}"


def solve(
    problem: Problem,
    seed: int,
    methods: Sequence[str],
    work: Path,
    places: Mapping[str, str],
    *,
    jobs: int,
    answers: bool = True,
    shown: bool = True,
) -> dict[str, Any]:
    """Find the answer and score every method, or go on where that stopped.

    Returns:
        "problem", "seed"; "accuracy" of each method on the rest; and, if it `answers`,
        "answer", the methods chosen, "answers", the accuracy on the rest of `ANSWER`,
        of `UNLEARNED`, which is chosen among methods without a learned view, of
        `WITH_FOLDS`, the average of the answer and of what its methods were for each
        fold, and of `fixed_averages`; and "estimate", as folds saw the answer, with
        "low" and "high". All in percent.
    """
    home = work / f"{problem.title.replace(', ', '-').replace(' ', '_')}-seed{seed}"
    parts = _parts(problem, seed, home, places)
    config = RunConfig(
        data=DataConfig(
            source=str(parts[0]), target_source=str(parts[1]), seed=seed, folds=FOLDS
        ),
        rounds=problem.rounds,
        methods=tuple(methods),
        seeds=1,
    )
    found = {}
    if answers:
        made = run(config, home / "run", jobs=jobs, shown=shown)["answer"]
        found = {"answer": made["method"], "estimate": made["accuracy"]}
        found |= {"low": made["low"], "high": made["high"]}
        folder = RunFolder(home / "run")
        train_finals(folder, methods, jobs=jobs)
    else:
        folder = train_without_folds(config, home / "run", jobs=jobs)
    rest = load(DataConfig(source=str(parts[2]))).train
    assert isinstance(rest, Labelled), "a few thousand images fit into memory"
    if answers:
        judged = judged_by_method(folder, folder.config())
        plain = {n: of for n, of in judged.items() if not METHODS[n].has_learned_view}
        found["answers"] = {
            title: _score(folder, choose(among, config.members), rest)
            for title, among in ((ANSWER, judged), (UNLEARNED, plain))
        }
        every = choose_classifier(folder).with_folds().classifier()
        found["answers"][WITH_FOLDS] = evaluate(
            every, rest.images, rest.labels
        ).accuracy
        found["answers"] |= fixed_averages(folder, methods, rest)
    accuracy = {name: _score(folder, (name,), rest) for name in methods}
    return {"problem": problem.title, "seed": seed, **found, "accuracy": accuracy}


def fixed_averages(
    folder: RunFolder, methods: Sequence[str], rest: Labelled
) -> dict[str, float]:
    """Accuracy on the rest of averages that no judgement had a part in."""
    scores = {"all methods averaged": _score(folder, methods, rest)}
    if set(FIXED) <= set(methods):
        scores["pooled and policies averaged"] = _score(folder, FIXED, rest)
    return scores


def _score(folder: RunFolder, methods: Sequence[str], rest: Labelled) -> float:
    members = [finished_training(folder, name, FINAL).classifier() for name in methods]
    return evaluate(Ensemble(members), rest.images, rest.labels).accuracy


def _parts(
    problem: Problem, seed: int, home: Path, places: Mapping[str, str]
) -> tuple[Path, Path, Path]:
    """Files of source, target and rest; made once."""
    paths = tuple(home / f"{part}.parquet" for part in ("source", "target", "rest"))
    if not all(path.exists() for path in paths):
        for path, part in zip(paths, _divided(problem, seed, places), strict=True):
            path.unlink(missing_ok=True)
            images = map(to_pil_image, part.images)
            pairs = list(zip(images, part.labels.tolist(), strict=True))
            write_parquet(pairs, path, part.class_names)
    source, target, rest = paths
    return source, target, rest


def _divided(
    problem: Problem, seed: int, places: Mapping[str, str]
) -> Iterator[Labelled]:
    if problem.name == "digits":
        whole = digits()
    else:
        read = load(DataConfig(source=places[problem.name])).train
        assert isinstance(read, Labelled), "a problem's images fit into memory"
        whole = read
    order = torch.randperm(len(whole), generator=generator(seed, "regret"))
    source, rest = order[: problem.labels], order[problem.labels :]
    labels, per_class = whole.labels[rest], problem.target // whole.num_classes
    is_few = rank_in_class(labels) < per_class
    yield whole.select(source)
    for number, at in enumerate((is_few, ~is_few)):
        part = whole.select(rest[at][:MAX_REST])
        images = _shifted(part.images, problem.shift, seed, number)
        yield Labelled(images, part.labels, part.class_names)


def _shifted(
    images: UInt8[Tensor, "N C H W"], shift: str, seed: int, number: int
) -> UInt8[Tensor, "N C H W"]:
    if shift in LAST:
        return corrupt(images, LAST[shift], max(SEVERITIES), seed, "regret", number)
    numbers = generator(seed, "regret", shift, number)
    x = SHIFTS[shift](images.float() / 255, numbers).clamp(0, 1)
    return (255 * x).round().to(torch.uint8)
