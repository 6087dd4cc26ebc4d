"""What methods are compared on, as asked for; `grid_problems` reads its images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch: too slow for --help
    from infaug.experiment.grid import Column


@dataclass(frozen=True, kw_only=True)
class Problems:
    """What is compared on, and where its images lie.

    Attributes:
        columns: a problem each.
        places: folder by name of data; a problem whose data is not here is shown, not
            run.
        targets: where the images of a target lie, by what `data.target_source` says.
        program: how the command is called that is told to the user.
    """

    columns: "tuple[Column, ...]"
    places: Mapping[str, str]
    targets: Mapping[str, str] = field(default_factory=dict)
    program: str = "infaug compare"
