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
from infaug.data.problem import Splits, divide
from infaug.data.source import Source, load
from infaug.experiment.controls import choose, said
from infaug.experiment.execute import side_by_side, threads_of
from infaug.experiment.pace import (
    Pace,
    estimated_seconds,
    may_be_chosen,
    measure,
    sizes_of,
    trained_in,
)
from infaug.experiment.plan import resolve, resolve_data
from infaug.precision import pick_device
from infaug.training.train import ALONE
from infaug.words import memory, plural
from infaug.world import World

CALIBRATED_ON = 2  # influence images for each class, where all would be decoded
LONG_S = 2 * 3600
MIN_EPOCHS = 10
SMALL = 32  # pixels; what a CPU trains on in minutes


def outlook(
    config: RunConfig,
    source: Source,
    device: torch.device,
    workers: int,
    pace: Pace | None = None,
    at_once: int = 1,
    loader_name: str = ALONE.loader_name,
) -> list[str]:
    """Lines for the user: images, workers, batches, methods, and an estimate of time.

    A few steps of F and E are timed in this process, on as much as one worker has of a
    batch. Nothing of them is kept. `at_once` trainings are done side by side.
    """
    workers, load = max(workers, 1), os.getloadavg()[0]
    train, sizes, trained = source.train, sizes_of(source, config), trained_in(config)
    steps = max(training.steps["classify"] for training in trained)
    settings = config.classifier
    per_epoch = sizes.train / settings.batch_size
    shape = "x".join(str(side) for side in train.image_shape)
    held = sizes.influence + sizes.selection + sizes.test
    gib = held * torch.Size(train.image_shape).numel() / 2**30
    kept = "in memory"
    if isinstance(train, OnDisk):
        kept, gib = f"streamed, decoded by {loader_name}", gib / workers
    if pace is None:
        splits = _calibration_splits(config, source)
        pace = measure(_of_one_worker(config, workers), splits, device)
    seconds = estimated_seconds(config, sizes, pace, workers=workers, at_once=at_once)
    processes = max(workers, min(at_once, len(trained)))
    beside = f", {processes} at a time" if processes > workers else ""
    most = min(len(may_be_chosen(config, trained)), config.members)
    last = f", then {most} on all images" if most else ""
    repeated = plural(config.seeds, "judged fold" if config.data.folds else "seed")
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
        f"trainings  {len(trained)}: {names}; {repeated}{last}",
        f"estimate   {said(seconds)}{beside}, {seconds * processes / 3600:.1f} "
        f"{device.type}-hours, from a few timed steps",
        *_busy(load),
        *_proposals(config, steps / per_epoch, seconds, device),
    ]


def _busy(load: float) -> list[str]:
    """A warning where others use the machine: their share is in the estimate."""
    cores = usable_cores()
    if load <= cores:
        return []
    return [
        f"busy       load {load:.1f} on {cores} cores: what else runs here makes steps "
        "and the estimate many times longer"
    ]


def _proposals(
    config: RunConfig, epochs: float, seconds: float, device: torch.device
) -> list[str]:
    """The settings of the run as flags, and what to change if it is long or short."""
    data, settings = config.data, config.classifier
    size = f" --data.image-size {data.image_size}" if data.image_size else ""
    mode = "" if data.mode == "auto" else f" --color-mode {data.mode}"
    labels = "" if data.labels is None else f" --labels {data.labels:g}"
    what = f"--controls {config.controls}"
    if config.methods:
        what = f"--methods {' '.join(config.methods)}"
    folds = "" if data.folds is None else f" --data.folds {data.folds}"
    weights = ""
    if settings.weights != "none":
        weights = f" --weights {settings.weights} --freeze {settings.freeze}"
    lines = [
        f"settings   --network {settings.network}{weights} --classifier.batch-size "
        f"{settings.batch_size}{size}{mode}{labels}{folds} --rounds.classifier-steps "
        f"{config.rounds.classifier_steps} {what} --seeds {config.seeds}"
    ]
    if seconds > LONG_S:
        smaller = (data.image_size or 0) > SMALL and device.type == "cpu"
        shrink = f" --data.image-size {SMALL}" if smaller else ""
        small = " --network allconv" if device.type == "cpu" else ""
        lines.append(
            f"shorter    --seeds 1 --methods base base_learned pooled{small}{shrink} "
            "--rounds.rounds 8 for a first look; a verdict needs three seeds and the "
            "controls"
        )
    if epochs < MIN_EPOCHS:
        rounds = config.rounds
        steps = round(rounds.classifier_steps * MIN_EPOCHS / epochs)
        lines.append(
            f"longer     --rounds.classifier-steps {steps} for {MIN_EPOCHS} epochs: "
            f"F sees each image only {epochs:.1f} times"
        )
    return lines


def _of_one_worker(config: RunConfig, workers: int) -> RunConfig:
    """What one of the workers does in a step: the others wait for the largest share."""
    groups = config.classifier.batch_groups
    own = max(len(World(rank=k, size=workers).share(groups)) for k in range(workers))
    settings, estimator, adversarial = (
        replace(part, batch_size=part.batch_size // groups * own)
        for part in (
            replace(config.classifier, batch_groups=1),
            config.estimator,
            config.adversarial,
        )
    )
    return replace(
        config,
        classifier=replace(settings, batch_groups=own),
        estimator=estimator,
        adversarial=adversarial,
    )


def _calibration_splits(config: RunConfig, source: Source) -> Splits:
    """The splits, with few influence images where all would have to be decoded."""
    splits = divide(source, config.data)
    if isinstance(splits.influence, OnDisk):
        few = min(CALIBRATED_ON * splits.num_classes, len(splits.influence))
        return replace(splits, influence=splits.influence.part(torch.arange(few)))
    return splits


def foresee(config: RunConfig, workers: int, jobs: int = 0) -> Iterator[str]:
    """What the images are like, and the outlook of a config that is not resolved yet.

    `jobs` trainings are done at a time, 0: as many as the cores serve well. Unreadable
    images end a run, not a plan: it lists them.

    Raises:
        ValueError: for images or settings that cannot work.
    """
    data, lines = resolve_data(config)
    yield from lines
    config = replace(config, data=data)
    reading = replace(config.data, max_bad_images=sys.maxsize)
    source, device = load(reading), pick_device()
    is_free = config.data.folds is None
    config = resolve(config, source, device)
    yield from inspect(source, config.data)
    at_once = 1 if workers > 1 else side_by_side(jobs, config, source, device)
    with threads_of(config, World()):
        config, why, pace = choose(
            config, source, device, max(at_once, workers), fewer_folds=is_free
        )
        yield from why
        if workers > 1:  # Each has a part of a batch.
            pace = None
        yield from outlook(config, source, device, workers, pace, at_once)
