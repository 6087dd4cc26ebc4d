"""What a run is going to do and take, before it begins."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace

import torch

from infaug.config import RunConfig
from infaug.cores import usable_cores
from infaug.data.inspection import inspect
from infaug.data.on_disk import OnDisk
from infaug.data.problem import Splits, divide, positions
from infaug.data.source import Source, load
from infaug.experiment.beginning import resolve_data
from infaug.experiment.controls import choose, said
from infaug.experiment.methods import methods_of
from infaug.experiment.pace import (
    Sizes,
    measure,
    seconds_of,
)
from infaug.experiment.plan import resolve_config, with_folds
from infaug.experiment.trainings import plan_trainings
from infaug.precision import pick_device
from infaug.training.services import ALONE
from infaug.words import memory, plural
from infaug.world import World

LONG_S = 2 * 3600
MIN_EPOCHS = 10
SMALL = 32  # pixels; what a CPU trains on in minutes
CALIBRATED_ON = 2  # influence images for each class, where all would be decoded


def outlook(
    config: RunConfig,
    source: Source,
    device: torch.device,
    workers: int,
    feed: str = ALONE.feed,
) -> list[str]:
    """Lines for the user: images, workers, batches, methods, and an estimate of time.

    A few steps of F and E are timed in this process; nothing of them is kept.
    """
    workers, load = max(workers, 1), os.getloadavg()[0]
    train, test = source.train, source.test
    at = positions(source, config.data)
    num_test = len(at.test) if test is None else len(test)
    trainings = plan_trainings(config, methods_of(config), range(config.seeds))
    trained = [training for training in trainings if not training.fits_generator]
    steps = max(training.steps["classify"] for training in trained)
    settings = config.classifier
    per_epoch = len(at.train) / settings.batch_size
    shape = "x".join(str(side) for side in train.image_shape)
    sizes = Sizes(len(at.train), len(at.influence), len(at.selection), num_test)
    gib = sum(sizes[1:]) * torch.Size(train.image_shape).numel() / 2**30
    kept = "in memory"
    if isinstance(train, OnDisk):
        kept, gib = f"streamed, decoded by {feed}", gib / workers
    groups = settings.batch_groups
    # The others wait for the worker with the largest share of a batch.
    own = max(len(World(rank=k, size=workers).share(groups)) for k in range(workers))
    pace = measure(config, _calibration_splits(config, source), device)
    seconds = seconds_of(trained, sizes, pace.of_share(own / groups), workers)
    names = ", ".join(dict.fromkeys(training.method.name for training in trained))
    return [
        f"images     {sizes.train:,} to train on ({kept}), {sizes.influence:,} "
        f"influence, {sizes.selection:,} selection, {sizes.test:,} test; "
        f"{train.num_classes} classes, {shape}",
        f"memory     {memory(gib)} in each worker for all but the training images",
        f"workers    {workers} on {device.type}, {settings.precision}",
        f"batch      {settings.batch_size:,} images in {settings.views} views, in "
        f"{settings.batch_groups} groups; {per_epoch:,.0f} steps an epoch",
        f"classifier {settings.network}, {steps:,} steps = "
        f"{steps / per_epoch:,.1f} epochs each time it is trained",
        f"trainings  {len(trained)}: {names}; {plural(config.seeds, 'seed')}",
        f"estimate   {said(seconds)}, {seconds * workers / 3600:.1f} "
        f"{device.type}-hours, from a few timed steps",
        *_busy(load),
        *_propose(config, steps / per_epoch, seconds, device),
    ]


def _propose(
    config: RunConfig, epochs: float, seconds: float, device: torch.device
) -> list[str]:
    """What to change where the settings take long or train little."""
    lines, on_cpu = [], device.type == "cpu"
    if seconds > LONG_S:
        small = " --network allconv" if on_cpu else ""
        if on_cpu and (config.data.image_size or 0) > SMALL:
            small += f" --data.image-size {SMALL}"
        lines.append(
            f"shorter    --seeds 1 --methods base base_learned pooled{small} "
            "--rounds.rounds 8 for a first look; a verdict needs three seeds and the "
            "controls"
        )
    if epochs < MIN_EPOCHS:
        steps = round(config.rounds.classifier_steps * MIN_EPOCHS / epochs)
        lines.append(
            f"longer     --rounds.classifier-steps {steps} for {MIN_EPOCHS} epochs: "
            f"F sees each image only {epochs:.1f} times"
        )
    return lines


def _busy(load: float) -> list[str]:
    """A warning where others use the machine: their share is in the estimate."""
    cores = usable_cores()
    if load <= cores:
        return []
    return [
        f"busy       load {load:.1f} on {cores} cores: what else runs here makes steps "
        "and the estimate many times longer; OMP_NUM_THREADS=1 then often helps"
    ]


def _calibration_splits(config: RunConfig, source: Source) -> Splits:
    """The splits, with few influence images where all would have to be decoded."""
    splits = divide(source, config.data)
    if isinstance(splits.influence, OnDisk):
        few = min(CALIBRATED_ON * splits.num_classes, len(splits.influence))
        return replace(splits, influence=splits.influence.part(torch.arange(few)))
    return splits


def foresee(config: RunConfig, workers: int) -> Iterator[str]:
    """What the images are like, and the outlook of a config that is not resolved yet.

    Unreadable images end a run, not a plan: it lists them.

    Raises:
        ValueError: for images or settings that cannot work.
    """
    data, lines = resolve_data(config)
    yield from lines
    config = replace(config, data=data)
    reading = replace(data, max_bad_images=sys.maxsize)
    source, device = load(reading), pick_device()
    is_free = config.data.folds is None
    config = with_folds(config, source)
    yield from inspect(source, config.data)
    resolved = resolve_config(config, source.train.image_shape, device)
    at_once = max(workers, usable_cores() // resolved.threads, 1)
    resolved, why = choose(resolved, source, device, at_once, fewer_folds=is_free)
    if why:
        yield why
    yield from outlook(resolved, source, device, workers)
