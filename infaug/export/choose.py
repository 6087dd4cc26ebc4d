"""Which cell of a run is taken away: chosen by selection loss, never on test."""

from dataclasses import dataclass
from typing import Any

from infaug.config import ExportSeed
from infaug.record.folder import RunFolder
from infaug.rows import ROWS, Row


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A finished cell of a learned row."""

    row: Row
    seed: int
    how: str
    """How it was chosen, in words."""
    found: dict[str, Any]
    """Its result.json."""

    @property
    def name(self) -> str:
        """ROW-seedK, as in the run's folder."""
        return f"{self.row.name}-seed{self.seed}"


def choose(
    folder: RunFolder, row: str | None = None, seed: ExportSeed = "best-on-selection"
) -> Chosen:
    """The cell asked for; where it is left open, the one of least selection loss.

    Without a row, the learned row whose mean selection loss over its finished seeds is
    least. Seeds have selection images of their own, so between seeds the loss also
    tells how hard these are.

    Raises:
        ValueError: if there is no such cell, or its learned view was given up.
    """
    finished = _finished(folder, row)
    if not finished:
        which = f"row {row}" if row else "a learned row"
        raise ValueError(
            f"{folder.path} has no finished cell of {which}: it can be exported once "
            "its first seed is finished; learned rows are "
            f"{', '.join(name for name in ROWS if ROWS[name].is_learned)}"
        )
    name = row or min(finished, key=lambda name: _mean_loss(finished[name]))
    seeds = finished[name]
    if seed == "best-on-selection":
        number = min(seeds, key=lambda k: seeds[k]["selection_loss"])
        how = f"least selection loss of seeds {', '.join(map(str, sorted(seeds)))}"
    elif seed in seeds:
        number, how = seed, "asked for by number"
    else:
        raise ValueError(
            f"--seed {seed} of {name} is not finished in {folder.path}: it has "
            f"{', '.join(map(str, sorted(seeds)))}"
        )
    if row is None and len(finished) > 1:
        how = f"row of least mean selection loss among {', '.join(finished)}; {how}"
    if seeds[number].get("strength") == 0:
        raise ValueError(
            f"the learned view of {name} seed {number} was given up during training, "
            "as selection images suffered from it: keep the base augmentation, or "
            "choose another --row or --seed"
        )
    return Chosen(row=ROWS[name], seed=number, how=how, found=seeds[number])


def _finished(
    folder: RunFolder, row: str | None
) -> dict[str, dict[int, dict[str, Any]]]:
    """Results by learned row and seed; rows without one are left out."""
    if row is not None and (row not in ROWS or not ROWS[row].is_learned):
        learned = ", ".join(name for name in ROWS if ROWS[name].is_learned)
        raise ValueError(f"--row {row} learns no augmentation: choose among {learned}")
    names = [row] if row else [name for name in ROWS if ROWS[name].is_learned]
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for name in names:
        for seed in range(folder.config().seeds):
            result = folder.cell_result(name, seed)
            if result is not None:
                found.setdefault(name, {})[seed] = result
    return found


def _mean_loss(seeds: dict[int, dict[str, Any]]) -> float:
    return sum(found["selection_loss"] for found in seeds.values()) / len(seeds)
