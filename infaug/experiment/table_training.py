"""Doing one training of a table, in a folder of its own."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from infaug.config import DataConfig, RunConfig
from infaug.data.images import Source
from infaug.data.problem import Splits, divide, positions
from infaug.data.source import load
from infaug.data.survey import resolve_images
from infaug.experiment.execute import run_planned, threads_of
from infaug.experiment.methods import methods_to_train
from infaug.experiment.plan import resolve_config
from infaug.experiment.table_plan import Record, TableTraining, reading
from infaug.experiment.trainings import TRIAL, plan_trainings
from infaug.precision import pick_device
from infaug.record.folder import RunFolder
from infaug.training.methods import GENERATOR, METHODS, Method
from infaug.world import World


def images_of(
    data: DataConfig, places: Mapping[str, str]
) -> tuple[Source, Sequence[str]]:
    """The images of a problem, and notes on the size and mode they get.

    Raises:
        ValueError: whatever `load` refuses.
    """
    place = places.get(data.source, data.source)
    return images_at(reading(replace(data, source=place)))


@lru_cache(maxsize=1)
def images_at(data: DataConfig) -> tuple[Source, Sequence[str]]:
    """One process does many trainings of the same images: they are decoded once."""
    resolved, notes = resolve_images(data)
    return load(resolved), notes


def run_table_training(
    training: TableTraining, work: Path, places: Mapping[str, str], *, shown: bool
) -> Record:
    """Do a training, or continue it from its last checkpoint, and say what it found.

    A training that needs another's G shares that one's folder and does it first if it
    is not there.

    Args:
        training: what is trained.
        work: folder for the trainings' folders.
        places: where the images lie that a problem knows by name, as `data.source`; of
            a name that is not here it is the name itself.
        shown: whether progress is printed.

    Returns:
        See `record_of`.

    Raises:
        ValueError: whatever `run` refuses, images other than the training began with,
            and training images that differ between the problems for which the result
            would stand.
    """
    home = training.needs or training
    folder = RunFolder(work / f"{home.method}-seed{home.seed}-{home.key}")
    source, _ = images_of(training.stands_for[0], places)
    check_shared(source, training.stands_for, training.seed)
    resolved = train_in(folder, training, source, shown=shown)
    return record_of(training, folder, source, resolved)


def train_in(
    folder: RunFolder,
    training: TableTraining,
    source: Source,
    *,
    shown: bool,
    splits_of: Callable[[Source, DataConfig, int], Splits] = divide,
    **given: Any,
) -> RunConfig:
    """Do a training and those it needs in a folder, or continue them there.

    `given` goes to `train`. The resolved config is returned.
    """
    folder.enter(training.config)
    with folder.locked():
        _match_data(folder, source)
        device = pick_device()
        # All that it stands for are alike in whatever its numbers depend on.
        config = replace(training.config, data=training.stands_for[0])
        config = resolve_config(config, source.train.image_shape, device)
        names = [each.method for each in (training.needs, training) if each]
        methods = methods_to_train(replace(config, methods=tuple(names)))
        plan = plan_trainings(config, methods, [training.seed])
        divided = partial(splits_of, source, config.data)
        with threads_of(config, World()):
            run_planned(plan, divided, folder, World(), device, shown=shown, **given)
    return config


def record_of(
    training: TableTraining, folder: RunFolder, source: Source, resolved: RunConfig
) -> Record:
    """What a finished training found, as a line of results.

    "key", "method", "seed"; "config", every setting that matters to the training;
    "data", what tells its images from others; "precision" as resolved; "device" and its
    "threads"; "seconds", with "tuning_seconds" of them for choosing, and "images" drawn
    in them; losses and accuracies; what `base_tuned` chose from.
    """
    found = folder.found(training.method, training.seed)
    return {
        "key": training.key,
        "method": training.method,
        "seed": training.seed,
        "config": training.settings,
        "data": source.identity,
        "precision": resolved.classifier.precision,
        "device": pick_device().type,
        "threads": resolved.threads,
        **_spent(folder, METHODS[training.method]),
        **{k: v for k, v in found.items() if k not in ("method", "seed")},
    }


def _match_data(folder: RunFolder, source: Source) -> None:
    """Keep what a training's images are, or check that they are those it began with.

    `folder.match_data` alone would take a folder that is not resolved for one in which
    nothing was trained. A training's is never resolved: another method may go through
    its G on other hardware.
    """
    path = folder.path / "data.json"
    if not (folder.has_trained and path.exists()):
        folder.match_data(source.identity)
    elif json.loads(path.read_text()) != source.identity:
        raise ValueError(
            f"{folder} holds a part of a comparison on other images: bring them back "
            "to continue it, or give these another name, as --data NAME=FOLDER"
        )


def check_shared(source: Source, problems: Sequence[DataConfig], seed: int) -> None:
    """Refuse to share a result between problems that train on different images."""
    trains = [positions(source, data, seed).train for data in problems]
    if any(not train.equal(trains[0]) for train in trains[1:]):
        targets = ", ".join(f"{data.target:g}" for data in problems)
        raise ValueError(
            f"data.labels {problems[0].labels:g} and data.target {targets} exhaust a "
            "class, so the training images differ between them: lower one of the two"
        )


def _spent(folder: RunFolder, method: Method) -> dict[str, float]:
    """Training seconds of a method and the images it drew, in however many views.

    Choosing a base and fitting G are part of it. Work that a kill made run twice counts
    twice.
    """
    lines = folder.lines("timings.jsonl")
    trials = [line for line in lines if line["method"].startswith(TRIAL)]
    own = [line for line in lines if line["method"] == method.name]
    if method.uses_generator:
        own += [line for line in lines if line["method"] == GENERATOR.name]
    tuning = sum((line["seconds"] for line in trials), 0.0)
    seconds = sum((line["seconds"] for line in own), 0.0) + tuning
    images = sum(line.get("images", 0) for line in own + trials)
    spent = {"seconds": round(seconds, 2), "images": images}
    return spent | ({"tuning_seconds": round(tuning, 2)} if tuning else {})
