"""What a cluster does for a run; a run alone does without."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infaug.data.loader import Loader
from infaug.record.steps import MetricsWriter
from infaug.training.overlap import Solver


@dataclass(frozen=True, kw_only=True)
class Services:
    """None of these makes a difference to the result."""

    solver: Solver | None = None
    """Solves for every S, beside training; None: this process does."""
    loader: Loader | None = None
    """Decodes images that are streamed; None: threads of this process."""
    feed: str = "threads of this process"
    """The loader in words."""
    writers: Sequence[MetricsWriter] = ()
    """Told of what this process does."""
    is_leaving: Callable[[], bool] | None = None
    """Whether a machine of this run will be taken away soon. All processes of a run ask
    together, and are reported alike."""


ALONE = Services()
