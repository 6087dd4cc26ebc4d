"""A cell of the long-tail table: a row, trained as a method for long tails asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infaug.baselines.git_transfer import InvarianceTransfer
from infaug.baselines.long_tail import TailBatches
from infaug.config import GitConfig, RunConfig, from_dict, to_dict
from infaug.data.batches import Batches
from infaug.experiment.grid import GridCell, grid_cell, recorded_cell
from infaug.training.cell import Cell
from infaug.training.views import CellViews


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of the table: steps, views and networks are those of the row of that name.

    Attributes:
        name: as it appears in tables.
        row: what the two views go through, and whether E learns.
        balanced_from: share of F's steps after which classes are drawn alike (DRS).
        transfers: whether images of small classes go through GIT first.
    """

    name: str
    row: str = "base"
    balanced_from: float | None = None
    transfers: bool = False


DELAY = 0.8  # as Cao et al. (2019): 160 of 200 epochs

METHODS = {
    method.name: method
    for method in (
        Method(name="plain"),
        Method(name="drs", balanced_from=DELAY),
        Method(name="git", balanced_from=DELAY, transfers=True),
        Method(name="infaug", row="base_learned"),
        Method(name="infaug_drs", row="base_learned", balanced_from=DELAY),
        Method(name="pooled", row="pooled"),
    )
}


@dataclass(frozen=True)
class TailCell:
    """A method, a problem and a seed; equal cells have equal numbers."""

    method: Method
    cell: GridCell
    git: GitConfig | None
    """None where GIT is not used."""

    @property
    def name(self) -> str:
        """For folders: unlike for unlike settings."""
        return f"{self.method.name}-seed{self.cell.seed}-{self.cell.key}"

    @property
    def identity(self) -> dict[str, Any]:
        """What `recorded` reads, as JSON can hold it."""
        return {
            "method": to_dict(self.method),
            "row": self.cell.row,
            "seed": self.cell.seed,
            "config": self.cell.settings,
            "git": to_dict(self.git) if self.git is not None else None,
        }


def tail_cell(method: Method, seed: int, config: RunConfig, git: GitConfig) -> TailCell:
    """The cell of a method: settings that do not matter to it have their defaults."""
    cell = grid_cell(method.row, seed, config)
    return TailCell(method, cell, git if method.transfers else None)


def recorded(record: Mapping[str, Any]) -> TailCell | None:
    """The cell that a line of results is about; None if it has a setting that is gone.

    As `recorded_cell`: a setting that the line does not name had its default.
    """
    cell = recorded_cell(record)
    try:
        method = from_dict(Method, record["method"])
        git = record["git"] and from_dict(GitConfig, record["git"])
    except ValueError:
        return None
    return None if cell is None else TailCell(method, cell, git)


def tail_views(
    cell: Cell, method: Method, transfer: InvarianceTransfer | None
) -> CellViews:
    """The views of a cell, begun from a method's batches; E draws its own as ever."""
    return _TailViews(cell, method, transfer)


class _TailViews(CellViews):
    def __init__(self, cell: Cell, method: Method, transfer: InvarianceTransfer | None):
        super().__init__(
            cell.row,
            cell.seed,
            cell.train,
            cell.transform,
            cell.policy,
            cell.config,
            cell.world,
            cell.device,
        )
        assert isinstance(self._classify, Batches), "long tails are cut in memory"
        rounds, balanced_from = cell.config.rounds, None
        if method.balanced_from is not None:
            num_steps = rounds.rounds * rounds.classifier_steps
            balanced_from = round(method.balanced_from * num_steps)
        self._classify = TailBatches(self._classify, balanced_from, transfer)
