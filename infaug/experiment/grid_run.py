"""Running one training of a table, in a folder of its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from infaug.config import DataConfig
from infaug.data.images import Source
from infaug.data.problem import positions
from infaug.experiment.execute import run_planned, threads_of
from infaug.experiment.grid import Work
from infaug.experiment.grid_images import images_of
from infaug.experiment.methods import methods_of
from infaug.experiment.plan import resolve_config
from infaug.experiment.results import Record
from infaug.experiment.trainings import plan_trainings
from infaug.experiment.tuning import TRIAL
from infaug.precision import pick_device
from infaug.record.folder import RunFolder
from infaug.training.methods import GENERATOR, METHODS, Method
from infaug.world import World


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where trainings of tables run.

    Attributes:
        work: folder for the trainings' run folders, which unfinished trainings continue
            from.
        places: where the images lie that a problem knows by name, as `data.source`; of
            a name that is not here it is the name itself.
        targets: likewise of `data.target_source`, which may be called like another
            problem's data.
    """

    work: Path
    places: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)


def run_grid_training(work: Work, site: Site, *, shown: bool) -> Record:
    """Run a training, or continue it from its last checkpoint, and say what it found.

    A training that needs another's G shares that one's folder and runs it first if it
    is not there.

    Returns:
        "key", "row", "seed"; "config", every setting that matters to the training;
        "data", what tells its images from others; "precision" as resolved; "device" and
        its "threads"; "seconds", with "tuning_seconds" of them for choosing, and
        "images" drawn in them; losses and accuracies; what `base_tuned` chose from.

    Raises:
        ValueError: whatever `comparison.run` refuses, images other than the training
            began with, and training images that differ between the problems for which
            the result would stand.
    """
    # All that it stands for are alike in whatever the training's numbers depend on.
    training, data = work.training, work.stands_for[0]
    home = training.needs or training
    folder = RunFolder(site.work / f"{home.method}-seed{training.seed}-{home.key}")
    folder.enter(training.config)
    with folder.locked():
        source = images_of(data, site.places, site.targets)
        check_shared(source, work.stands_for, training.seed)
        _match_data(folder, source)
        device = pick_device()
        config = replace(training.config, data=data)
        resolved = resolve_config(config, source.train.image_shape, device)
        methods = methods_of(replace(resolved, methods=(home.method, training.method)))
        planned = plan_trainings(resolved, methods, [training.seed])
        with threads_of(resolved, World()):
            run_planned(planned, source, folder, World(), device, shown=shown)
    found = folder.found(training.method, training.seed)
    return {
        "key": training.key,
        "row": training.method,
        "seed": training.seed,
        "config": training.settings,
        "data": source.identity,
        "precision": resolved.classifier.precision,
        "device": device.type,
        "threads": resolved.threads,
        **_spent(folder, METHODS[training.method]),
        **{k: v for k, v in found.items() if k not in ("row", "seed")},
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
    trials = [line for line in lines if line["row"].startswith(TRIAL)]
    own = [line for line in lines if line["row"] == method.name]
    if method.uses_generator:
        own += [line for line in lines if line["row"] == GENERATOR.name]
    tuning = sum((line["seconds"] for line in trials), 0.0)
    seconds = sum((line["seconds"] for line in own), 0.0) + tuning
    images = sum(line.get("images", 0) for line in own + trials)
    spent = {"seconds": round(seconds, 2), "images": images}
    return spent | ({"tuning_seconds": round(tuning, 2)} if tuning else {})
