"""Running one training of the long-tail table, in a folder of its own."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from infaug.baselines.git_networks import StyleTransfer, build_networks
from infaug.baselines.git_transfer import InvarianceTransfer, fit_transfer
from infaug.classify.invariance import expected_divergence
from infaug.config import GitConfig, NuisanceConfig, to_dict
from infaug.data.dataset import Labelled
from infaug.data.problem import divide
from infaug.data.share import own_part
from infaug.data.shift import apply_nuisance
from infaug.data.source import Source, load
from infaug.experiment.execute import train_alone
from infaug.experiment.grid_run import Site
from infaug.experiment.plan import resolve_config
from infaug.experiment.results import Record
from infaug.experiment.tail_training import TailTraining, use_tail_batches
from infaug.precision import pick_device
from infaug.record.display import Line, clock
from infaug.record.folder import RunFolder
from infaug.record.store import GeneratorStore
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.training.train import TrainingSpec
from infaug.world import World

SCORES = ("test_top1", "test_balanced", "test_by_class", "ekld")
NUM_DRAWS = 3  # of the nuisance of each test image, for eKLD


def run_tail_training(tail: TailTraining, site: Site, *, shown: bool) -> Record:
    """Train a training, or continue it from its last checkpoint, and assess it.

    GIT is fitted once for a seed and its settings, and kept in `site.work`; a fit that
    was cut short begins again.

    Returns:
        What tells the training (`TailTraining.identity`); "sizes", training images of
        each class; "test_top1", "test_balanced", "test_by_class" in percent; "ekld" of
        each class in nats; "seconds" of training F and E, "git_seconds" of fitting GIT.
    """
    folder = RunFolder(site.work / tail.name)
    folder.enter(tail.training.config)
    with folder.locked():
        data = tail.training.config.data
        config = replace(data, source=site.places.get(data.source, data.source))
        source, seed, device = load(config), tail.training.seed, pick_device()
        splits = divide(source, config, seed)
        test = own_part(splits.test, World())
        resolved = resolve_config(
            tail.training.config, splits.train.image_shape, device
        )
        images = splits.train
        assert isinstance(images, Labelled), "long tails are cut in memory"
        sizes = images.labels.bincount(minlength=images.num_classes)
        transfer, git_seconds = None, 0.0
        if tail.git is not None:
            fitted, git_seconds = _fitted(
                images, tail.git, seed, site.work, shown=shown
            )
            transfer = InvarianceTransfer(fitted.to(device), sizes, tail.git)
        started = time.monotonic()
        spec = TrainingSpec(
            method=METHODS[tail.training.method], seed=seed, config=resolved
        )
        found = train_alone(
            spec,
            splits,
            folder,
            shown=shown,
            prepare=partial(use_tail_batches, method=tail.method, transfer=transfer),
            scores_of=partial(_ekld, source=source, test=test),
        )
        seconds = time.monotonic() - started
    return {
        **tail.identity,
        "sizes": sizes.tolist(),
        **{name: found[name] for name in SCORES},
        "seconds": round(seconds, 1),
        "git_seconds": round(git_seconds, 2),
    }


def _fitted(
    train: Labelled, config: GitConfig, seed: int, work: Path, *, shown: bool
) -> tuple[StyleTransfer, float]:
    """GIT's generator from the store, or fitted and kept; seconds the fit took."""
    store = GeneratorStore(work / "git")
    of_fit = {k: v for k, v in to_dict(config).items() if k not in OF_USE}
    identity: dict[str, Any] = {
        "seed": seed,
        "images": train.checksum,
        "git": of_fit,
        "torch": torch.__version__,
    }
    transfer, _ = build_networks(train.image_shape, config, seed)
    if (weights := store.find(identity)) is not None:
        transfer.load_state_dict(weights)
        return transfer, 0.0
    started, metrics = time.monotonic(), {}
    with contextlib.closing(Line(shown=shown)) as progress:
        steps = fit_transfer(train.images, config, seed)
        for done, (fitted, said) in enumerate(steps, start=1):
            transfer, metrics = fitted, said
            share = done / config.steps
            progress.update(partial(_git_progress, seed, share, started, metrics))
    seconds = time.monotonic() - started
    store.keep(identity, transfer.state_dict(), metrics | {"seconds": seconds})
    return transfer, seconds


def _git_progress(
    seed: int, share: float, started: float, metrics: Mapping[str, float]
) -> str:
    left = (time.monotonic() - started) * (1 / share - 1)
    image = metrics["image"]
    return f"GIT seed {seed}  {share:.0%}  image loss {image:.3f}  ETA {clock(left)}"


OF_USE = ("threshold", "portion")  # these are no part of the fit


def _ekld(training: Training, source: Source, test: Labelled) -> dict[str, Any]:
    """`ekld`: KL(p(. | x) || p(. | T(x))) by class, T the nuisance of the data.

    x is a test image as it was tested, T(x) the same image with its nuisance drawn
    again: for rotations the same as turning x further, for others no nuisance upon a
    nuisance, which no image of the data has.
    """
    data = training.config.data
    nuisance = data.nuisance
    bare = replace(data, nuisance=NuisanceConfig())
    images = own_part(divide(source, bare, training.seed).test, World()).images
    again = [
        apply_nuisance(images, nuisance, training.seed, "ekld", draw).to(
            training.device
        )
        for draw in range(NUM_DRAWS)
    ]
    x = test.to(training.device)
    found = expected_divergence(
        training.evaluated.eval(), x.images, again, x.labels, dtype=training.dtype
    )
    return {"ekld": list(found)}
