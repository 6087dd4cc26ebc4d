"""Trainings of the long-tail table: how a method for long tails trains F."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from git_networks import GitConfig, StyleTransfer, build_networks
from git_transfer import InvarianceTransfer, fit_transfer
from jaxtyping import Float, Int64, UInt8
from tail_batches import TailBatches
from torch import Tensor
from torch.nn import functional as F

from infaug.config import NuisanceConfig, RunConfig, from_dict, to_dict
from infaug.data.batches import Batches
from infaug.data.dataset import Labelled
from infaug.data.images import Source
from infaug.data.problem import divide
from infaug.data.share import local_part
from infaug.data.shift import apply_nuisance
from infaug.experiment.table_plan import (
    Record,
    TableTraining,
    recorded_training,
    table_training,
)
from infaug.experiment.table_training import images_of, record_of, train_in
from infaug.precision import pick_device
from infaug.record.display import Line
from infaug.record.folder import RunFolder
from infaug.record.store import GeneratorStore
from infaug.training.state import Training
from infaug.world import World

NUM_DRAWS = 3  # of the nuisance of each test image, for eKLD
DELAY = 0.8  # as Cao et al. (2019): 160 of 200 epochs
OF_USE = ("threshold", "portion")  # settings of GIT that are no part of its fit


@dataclass(frozen=True, kw_only=True)
class TailMethod:
    """A method of the table, with the steps and networks of `method`.

    Attributes:
        name: as it appears in tables.
        method: what the two views go through, and whether E learns.
        balanced_from: share of F's steps after which classes are drawn alike (DRS).
        transfers: whether images of small classes go through GIT first.
    """

    name: str
    method: str = "base"
    balanced_from: float | None = None
    transfers: bool = False


METHODS = {
    method.name: method
    for method in (
        TailMethod(name="plain"),
        TailMethod(name="drs", balanced_from=DELAY),
        TailMethod(name="git", balanced_from=DELAY, transfers=True),
        TailMethod(name="infaug", method="base_learned"),
        TailMethod(name="infaug_drs", method="base_learned", balanced_from=DELAY),
        TailMethod(name="pooled", method="pooled"),
    )
}


@dataclass(frozen=True)
class TailTraining:
    """A method, a problem and a seed; `git` is None where GIT is not used."""

    method: TailMethod
    training: TableTraining
    git: GitConfig | None


def tail_training(
    method: TailMethod, seed: int, config: RunConfig, git: GitConfig
) -> TailTraining:
    """A method's training: settings that do not matter to it have their defaults."""
    training = table_training(method.method, seed, config)
    return TailTraining(method, training, git if method.transfers else None)


def recorded_tail(record: Mapping[str, Any]) -> TailTraining | None:
    """The training of a line of results; None if a setting of it is gone."""
    if (training := recorded_training(record)) is None:
        return None
    try:
        method = from_dict(TailMethod, record["tail_method"])
        git = record["git"] and from_dict(GitConfig, record["git"])
    except ValueError:
        return None
    return TailTraining(method, training, git)


def run_tail_training(
    tail: TailTraining, work: Path, places: Mapping[str, str], *, shown: bool
) -> Record:
    """Do a training, or continue it from its last checkpoint, and assess it.

    GIT is fitted once for a seed and its settings, and kept in `work`; a fit that was
    cut short begins again.

    Returns:
        As `record_of`, and "tail_method" and "git", which tell the training from
        others; "sizes", training images of each class; "ekld" of each class in nats;
        "git_seconds" of fitting GIT.
    """
    training, method = tail.training, tail.method
    seed, data = training.seed, training.stands_for[0]
    source, _ = images_of(data, places)
    images = divide(source, data, seed).train
    assert isinstance(images, Labelled), "long tails are cut in memory"
    sizes = images.labels.bincount(minlength=images.num_classes)
    transfer, git_seconds = None, 0.0
    if tail.git is not None:
        fitted, git_seconds = _fitted(images, tail.git, seed, work, shown=shown)
        transfer = InvarianceTransfer(fitted.to(pick_device()), sizes, tail.git)
    folder = RunFolder(work / f"{method.name}-seed{seed}-{training.key}")
    resolved = train_in(
        folder, training, source, shown=shown,
        prepare=partial(_use_tail_batches, method=method, transfer=transfer),
        scores_of=partial(_ekld, source=source),
    )  # fmt: skip
    return {
        **record_of(training, folder, source, resolved),
        "tail_method": to_dict(method),
        "git": to_dict(tail.git) if tail.git is not None else None,
        "sizes": sizes.tolist(),
        "git_seconds": round(git_seconds, 2),
    }


def _fitted(
    train: Labelled, config: GitConfig, seed: int, work: Path, *, shown: bool
) -> tuple[StyleTransfer, float]:
    """GIT's generator from the store, or fitted and kept; seconds the fit took."""
    store = GeneratorStore(work / "git")
    identity: dict[str, Any] = {
        "seed": seed,
        "images": train.checksum,
        "git": {k: v for k, v in to_dict(config).items() if k not in OF_USE},
        "torch": torch.__version__,
    }
    transfer, _ = build_networks(train.image_shape, config, seed)
    if (weights := store.find(identity)) is not None:
        transfer.load_state_dict(weights)
        return transfer, 0.0
    started, metrics = time.monotonic(), {}
    with contextlib.closing(Line(shown=shown)) as progress:
        steps = fit_transfer(train.images, config, seed)
        for done, last in enumerate(steps, start=1):
            transfer, metrics = last
            share, image = done / config.steps, metrics["image"]
            line = f"GIT seed {seed}  {share:.0%}  image loss {image:.3f}"
            progress.update(partial(str, line))
    seconds = time.monotonic() - started
    store.keep(identity, transfer.state_dict(), metrics | {"seconds": seconds})
    return transfer, seconds


def _use_tail_batches(
    training: Training, method: TailMethod, transfer: InvarianceTransfer | None
) -> None:
    """F's views begin from a method's batches; E draws its own."""
    views, rounds, balanced_from = training.views, training.config.rounds, None
    assert isinstance(views.f_batches, Batches), "long tails are cut in memory"
    if method.balanced_from is not None:
        num_steps = rounds.rounds * rounds.classifier_steps
        balanced_from = round(method.balanced_from * num_steps)
    views.f_batches = TailBatches(views.f_batches, balanced_from, transfer)


def _ekld(training: Training, source: Source) -> dict[str, Any]:
    """`ekld`: KL(p(. | x) || p(. | T(x))) by class, T the nuisance of the data.

    x is a test image as it was tested, T(x) the same image with its nuisance drawn
    again: for rotations the same as turning x further, for others no nuisance upon a
    nuisance, which no image of the data has.
    """
    data, seed, device = training.config.data, training.seed, training.device
    bare = replace(data, nuisance=NuisanceConfig())
    images = local_part(divide(source, bare, seed).test, World()).images
    again = [
        apply_nuisance(images, data.nuisance, seed, "ekld", draw).to(device)
        for draw in range(NUM_DRAWS)
    ]
    x = local_part(divide(source, data, seed).test, World()).to(device)
    found = expected_divergence(
        training.evaluated.eval(), x.images, again, x.labels, dtype=training.dtype
    )
    return {"ekld": list(found)}


def expected_divergence(
    logits_of: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B Y"]],
    images: UInt8[Tensor, "N C H W"],
    changed: Sequence[UInt8[Tensor, "N C H W"]],
    labels: Int64[Tensor, "N"],
    *,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 500,
) -> tuple[float | None, ...]:
    """The eKLD of each class in nats: mean of KL(p(. | x) || p(. | T(x))).

    Zhou et al., "Do Deep Networks Transfer Invariances Across Classes?" (ICLR 2022,
    section 2.2). 0 if F ignores T; there is no upper bound. None for a class without
    images. `logits_of` must be in evaluation mode.
    """

    @torch.no_grad()
    def log_probs(x: Tensor) -> Tensor:
        parts = [
            logits_of((part.float() / 255).to(dtype)) for part in x.split(batch_size)
        ]
        return F.log_softmax(torch.cat(parts).double(), dim=1)

    before = log_probs(images)
    num_classes = before.shape[1]
    total = torch.stack([divergence(before, log_probs(x)) for x in changed]).mean(0)
    sums = total.new_zeros(num_classes).index_add(0, labels, total).tolist()
    nums = labels.bincount(minlength=num_classes).tolist()
    return tuple(s / n if n else None for s, n in zip(sums, nums, strict=True))


def divergence(
    log_p: Float[Tensor, "N Y"], log_q: Float[Tensor, "N Y"]
) -> Float[Tensor, "N"]:
    """KL(p || q) = sum_c p_c (log p_c - log q_c) of each row, in nats."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
