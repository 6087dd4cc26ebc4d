"""Which cell of a run is taken away: chosen by selection loss, never on test."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infaug.config import ExportSeed
from infaug.record.folder import RunFolder
from infaug.training.rows import ROWS, Row


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A finished cell."""

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
    chosen = _least(folder, finished, row, seed)
    if chosen.found.get("strength") == 0:
        raise ValueError(
            f"the learned view of {chosen.row.name} seed {chosen.seed} was given up "
            "during training, as selection images suffered from it: keep the base "
            "augmentation, or choose another --row or --seed"
        )
    return chosen


def choose_classifier(
    folder: RunFolder, row: str | None = None, seed: ExportSeed = "best-on-selection"
) -> Chosen:
    """The cell whose F is used: of any row, and as `choose` does where it is left open.

    Raises:
        ValueError: if there is no such cell.
    """
    if row is not None and row not in ROWS:
        raise ValueError(f"there is no --row {row}: choose among {', '.join(ROWS)}")
    finished = _results(folder, [row] if row else ROWS)
    learned = {name: found for name, found in finished.items() if ROWS[name].is_learned}
    if not finished:
        which = f"of row {row} " if row else ""
        raise ValueError(
            f"{folder.path} has no finished cell {which}yet: it has one once the first "
            "seed of a row is finished"
        )
    return _least(folder, learned or finished, row, seed)


def _least(
    folder: RunFolder,
    finished: Mapping[str, Mapping[int, dict[str, Any]]],
    row: str | None,
    seed: ExportSeed,
) -> Chosen:
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
    return Chosen(row=ROWS[name], seed=number, how=how, found=seeds[number])


def _finished(
    folder: RunFolder, row: str | None
) -> dict[str, dict[int, dict[str, Any]]]:
    """Results by learned row and seed."""
    if row is not None and (row not in ROWS or not ROWS[row].is_learned):
        learned = ", ".join(name for name in ROWS if ROWS[name].is_learned)
        raise ValueError(f"--row {row} learns no augmentation: choose among {learned}")
    names = [row] if row else [name for name in ROWS if ROWS[name].is_learned]
    return _results(folder, names)


def _results(
    folder: RunFolder, names: Iterable[str]
) -> dict[str, dict[int, dict[str, Any]]]:
    """Results by row and seed; rows without one are left out."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for name in names:
        for seed in range(folder.config().seeds):
            result = folder.cell_result(name, seed)
            if result is not None:
                found.setdefault(name, {})[seed] = result
    return found


def _mean_loss(seeds: Mapping[int, dict[str, Any]]) -> float:
    return sum(found["selection_loss"] for found in seeds.values()) / len(seeds)
