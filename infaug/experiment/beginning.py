"""How a run begins: what is left open about its images is resolved and reported."""

import json
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from infaug.config import ClassifierConfig, DataConfig, RunConfig
from infaug.data.images import Source
from infaug.data.inspection import inspect, notes_of, twins_in
from infaug.data.survey import SIZES, resolve_images
from infaug.precision import pick_device
from infaug.record.folder import RunFolder

MAX_ON_CPU = 64  # pixels of a side, with a network that infaug chooses
MAX_PRETRAINED_ON_CPU = 128


def resolve_data(config: RunConfig) -> tuple[DataConfig, list[str]]:
    """The data settings with what a new run decides, and lines about the choices.

    Raises:
        ValueError: for a source that is missing or of no known layout.
    """
    data, notes = resolve_images(config.data, _max_size(config.classifier))
    if data.drop_duplicates is None:
        data = replace(data, drop_duplicates=True)
    return data, notes


def _max_size(config: ClassifierConfig) -> int:
    """Pixels of a side that the hardware trains on in reasonable time."""
    if pick_device().type != "cpu":
        return SIZES[-1]
    if config.weights != "none":
        return MAX_PRETRAINED_ON_CPU
    return MAX_ON_CPU if config.network == "auto" else SIZES[-1]


def begin_data(config: RunConfig, folder: RunFolder) -> tuple[DataConfig, list[str]]:
    """The data settings that the run in `folder` began with, or begins with.

    Raises:
        ValueError: as `resolve_data`.
    """
    if not folder.is_resolved:
        return resolve_data(config)
    began = folder.config().data
    return replace(
        config.data,
        image_size=began.image_size,
        mode=began.mode,
        pixel_bits=began.pixel_bits,
        drop_duplicates=began.drop_duplicates,
        folds=began.folds,
    ), []


def report_data(
    source: Source, config: RunConfig, folder: RunFolder, notes: Sequence[str], *,
    shown: bool,
) -> None:  # fmt: skip
    """What the images are like, on screen; what was left out or changed, in the folder.

    Once for each seed: a run that continues says nothing again.
    """
    if folder.is_resolved and folder.config().seeds == config.seeds:
        return
    twins = [
        json.dumps({"seed": seed, **twin._asdict()})
        for seed in range(config.seeds)
        for twin in twins_in(source, config.data, seed)
    ]
    folder.keep_lines("duplicates.jsonl", twins)
    if folder.is_resolved:
        return
    folder.keep_lines("images.txt", [*notes, *notes_of(source)])
    if shown:
        console = Console(stderr=True)
        for line in (*notes, *inspect(source, config.data)):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
