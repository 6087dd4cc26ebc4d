"""A whole run: every row and seed, one after another, and what came of it."""

import contextlib
import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from infaug.cell import Cell
from infaug.comparison.plan import settle
from infaug.comparison.verdict import comparisons, verdict
from infaug.config import RoundsConfig, RunConfig
from infaug.data.problem import Splits, divide
from infaug.data.source import Source, load
from infaug.overlap import Solver
from infaug.precision import pick_device
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.journal import read_lines
from infaug.record.recorder import Recorder
from infaug.rounds import assess, run_cell
from infaug.rows import RANDOM_ROWS, Row, rows_of
from infaug.world import World


def run(
    config: RunConfig,
    out: Path,
    world: World | None = None,
    *,
    shown: bool = True,
    solver: Solver | None = None,
) -> dict[str, Any]:
    """Run, or continue, everything `config` asks for; the result is also written.

    Every process of the world calls this with the same arguments. Finished cells are
    kept, the unfinished one continues from its last checkpoint. A `solver` given
    solves for every S; it makes no difference to the result.

    Returns:
        {"unit", "rows", "verdict", "seconds", "comparisons"}; see `summarise`.

    Raises:
        ValueError: for images, settings or folders that cannot work, and for a loss
            that is not finite.
    """
    world = world or World.joined()
    folder = RunFolder(out)
    world.first(lambda: folder.enter(config))
    if (finished := world.first(folder.result)) is not None:
        return finished
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked()))
        source = load(config.data)
        device = pick_device()
        settled = settle(config, source.train.image_shape, device)
        world.share(settled.classifier.batch_groups)
        world.first(lambda: folder.settle(settled))
        world.first(lambda: folder.list_unreadable(source.bad))
        _run_cells(settled, source, folder, world, device, solver, shown=shown)
        return world.first(lambda: _finish(folder, settled))


def _run_cells(
    config: RunConfig,
    source: Source,
    folder: RunFolder,
    world: World,
    device: torch.device,
    solver: Solver | None,
    *,
    shown: bool,
) -> None:
    cells = [(row, s) for s in range(config.seeds) for row in rows_of(config.controls)]
    steps = [_steps(row, config.rounds) for row, _ in cells]
    display = Display(steps, config.rounds.rounds, shown=shown and world.is_first)
    with contextlib.closing(Recorder(folder, config.rounds, world, display)) as kept:
        for number, (row, seed) in enumerate(cells):
            if world.first(partial(folder.cell_result, row.name, seed)) is not None:
                display.skip_cell(number)
                continue
            generator = world.first(partial(generator_for, row, seed, folder))
            splits = divide(source, config.data, seed)
            cell = Cell(row, seed, splits, config, world, device, generator)
            if (state := kept.begin_cell(number, row.name, seed)) is not None:
                cell.load(state)
            run_cell(cell, splits, kept, solver)
            found = _assess_all(cell, splits)
            world.first(partial(kept.finish_cell, cell.weights(), found))
            display.say(
                f"{row.name} seed {seed}: {found['test_top1']:.2f} % top-1 on test"
            )


def _steps(row: Row, rounds: RoundsConfig) -> dict[str, int]:
    """Steps of each phase of a whole cell."""
    steps = {"classify": rounds.rounds * rounds.classifier_steps}
    if row.is_learned:
        steps["refresh"] = rounds.rounds - 1
        steps["estimate"] = (rounds.rounds - 1) * rounds.estimator_steps
        steps["review"] = rounds.rounds - 1
    return steps


def generator_for(row: Row, seed: int, folder: RunFolder) -> dict[str, Tensor] | None:
    """The G that the paired `base_learned` run ended with, where the row wants it."""
    if row.generator != "final":
        return None
    weights = folder.cell("base_learned", seed) / "transform.safetensors"
    prefix = "generator."
    tensors = load_file(weights).items()
    return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}


def _assess_all(cell: Cell, splits: Splits) -> dict[str, Any]:
    """What a finished cell found; the only place where test images are looked at."""
    selection = assess(cell, splits.selection.to(cell.device))
    test = assess(cell, splits.test.to(cell.device))
    strength = {"strength": cell.strength} if cell.row.is_learned else {}
    return {
        "row": cell.row.name,
        "seed": cell.seed,
        **strength,
        "selection_loss": selection.loss,
        "selection_top1": selection.accuracy,
        "test_loss": test.loss,
        "test_top1": test.accuracy,
    }


def _finish(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    result = summarise(folder, config)
    folder.finish(result)
    return result


def summarise(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    """Rows, verdict and seconds of a folder whose cells are all finished.

    `rows` maps each row to the mean, standard deviation (None for one seed) and values
    of its top-1 accuracy on test, percent, by seed. `base_random` is, for each seed,
    the better of random tau through the initial and the final G on the selection split.
    `seconds` sums the timings by phase; work that a crash made run twice counts twice.
    """
    seeds = range(config.seeds)
    found = {
        row.name: [_found(folder, row.name, seed) for seed in seeds]
        for row in rows_of(config.controls)
    }
    chosen: dict[str, list[dict[str, Any]]] = {}
    for name, results in found.items():
        if name not in RANDOM_ROWS:
            chosen[name] = results
        elif "base_random" not in chosen:
            pairs = zip(*(found[r] for r in RANDOM_ROWS), strict=True)
            chosen["base_random"] = [
                max(pair, key=lambda result: result["selection_top1"]) for pair in pairs
            ]
    given_up = {
        name: [r["seed"] for r in results if r.get("strength") == 0]
        for name, results in chosen.items()
    }
    tops = {name: [r["test_top1"] for r in rs] for name, rs in chosen.items()}
    return {
        "unit": "percent",
        "rows": {name: _statistics(values) for name, values in tops.items()},
        "verdict": verdict(tops, given_up),
        "seconds": _seconds(folder),
        "comparisons": [_finite(asdict(c)) for c in comparisons(tops)],
    }


def _found(folder: RunFolder, row: str, seed: int) -> dict[str, Any]:
    result = folder.cell_result(row, seed)
    assert result is not None, "every cell is finished by now"
    return result


def _statistics(values: list[float]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "seeds": values}


def _seconds(folder: RunFolder) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for line in read_lines(folder.path / "timings.jsonl"):
        phase = line["phase"]
        seconds[phase] = round(seconds.get(phase, 0.0) + line["seconds"], 3)
    return seconds | {"total": round(sum(seconds.values()), 3)}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: an unknown bound is null."""
    bad = (math.inf, -math.inf)
    return {k: None if v in bad else v for k, v in values.items()}
