"""What images decide of a problem: size and mode, and whether these are the ones."""

import sys
from dataclasses import replace

from infaug.config import DataConfig
from infaug.experiment.grid import Column
from infaug.experiment.grid_images import forget_images, images_of
from infaug.experiment.grid_images import resolved as resolved_images
from infaug.experiment.problems import Problems
from infaug.experiment.results import Results


def resolved(problems: Problems, results: Results, *, shown: bool) -> Problems:
    """The problems with what their images decide; what is not here is recalled.

    Raises:
        ValueError: for results of other images.
    """
    columns = []
    places, targets = problems.places, problems.targets
    forget_images()  # They may have changed since this process compared before.
    for column in problems.columns:
        requested = column.config.data
        if requested.source not in places:
            columns.append(_with_data(column, results.recall(requested)))
            continue
        data, lines = resolved_images(requested, places, targets)
        results.match(data, images_of(data, places, targets).identity)
        columns.append(_with_data(column, data))
        if shown:
            for line in lines:
                print(f"{column.title}: {line}", file=sys.stderr)
    return replace(problems, columns=tuple(columns))


def recalled(problems: Problems, results: Results) -> Problems:
    """The problems with the sizes and modes that results have: no image is read."""
    columns = [_with_data(c, results.recall(c.config.data)) for c in problems.columns]
    return replace(problems, columns=tuple(columns))


def _with_data(column: Column, data: DataConfig) -> Column:
    return replace(column, config=replace(column.config, data=data))
