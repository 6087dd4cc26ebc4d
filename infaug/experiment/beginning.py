"""How a run begins: what is left open about its images is resolved and reported."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from infaug.config import DataConfig, RunConfig
from infaug.data.images import Source
from infaug.data.inspection import inspect, notes_of, twins_in
from infaug.data.survey import resolve_images
from infaug.record.folder import RunFolder


def resolve_data(config: DataConfig) -> tuple[DataConfig, list[str]]:
    """The data settings with what a new run decides, and lines about what was chosen.

    Raises:
        ValueError: for a source that is missing or of no known layout.
    """
    config, notes = resolve_images(config)
    if config.drop_duplicates is None:
        config = replace(config, drop_duplicates=True)
    return config, notes


def begin_data(config: DataConfig, folder: RunFolder) -> tuple[DataConfig, list[str]]:
    """The data settings that the run in `folder` began with, or those it begins with.

    Raises:
        ValueError: as `resolve_data`.
    """
    if not folder.is_resolved:
        return resolve_data(config)
    began = folder.config().data
    return replace(
        config,
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
    folder.list_duplicates(
        [
            {"seed": seed, **twin._asdict()}
            for seed in range(config.seeds)
            for twin in twins_in(source, config.data, seed)
        ]
    )
    if folder.is_resolved:
        return
    folder.list_notes([*notes, *notes_of(source)])
    if shown:
        console = Console(stderr=True)
        for line in (*notes, *inspect(source, config.data)):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
