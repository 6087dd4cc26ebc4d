"""A whole run: every row and seed, one after another, and what came of it."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from infaug.config import Controls, RunConfig
from infaug.data.dataset import Labelled
from infaug.data.problem import Splits, divide
from infaug.data.source import Source, load
from infaug.data.stored import Stored
from infaug.experiment.beginning import begin_data, tell_data
from infaug.experiment.cells import (
    Planned,
    choice_of,
    config_for,
    driver_for,
    features_for,
    generator_for,
    plan_cells,
    policy_for,
)
from infaug.experiment.controls import choose_controls
from infaug.experiment.generators import provide_generator
from infaug.experiment.outlook import outlook
from infaug.experiment.plan import settle
from infaug.experiment.summary import summarise
from infaug.precision import pick_device
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.recorder import Recorder, watchers_in
from infaug.record.store import GeneratorStore
from infaug.training.alternation import assess, run_cell
from infaug.training.cell import Cell
from infaug.training.generator_fit import GeneratorFit
from infaug.training.rows import rows_of
from infaug.training.services import ALONE, Services
from infaug.world import World


def run(
    config: RunConfig,
    out: Path | str,
    world: World | None = None,
    *,
    cache: Path | None = None,
    shown: bool = True,
    services: Services = ALONE,
) -> dict[str, Any]:
    """Run, or continue, everything `config` asks for; the result is also written.

    Every process of the world calls this with the same arguments. Finished cells are
    kept, the unfinished one continues from its last checkpoint.

    Args:
        config: what is asked for; `auto` values are settled here.
        out: the run folder, or a URL at which the run is kept.
        world: who takes part; None for the process group this process has joined.
        cache: where fitted generators of other runs are found and kept; None for none.
        shown: whether progress is printed.
        services: of a cluster.

    Returns:
        {"unit", "methods", "verdict", "seconds", "comparisons", "tuned", "gap_closed"};
        see `comparison.summary`.

    Raises:
        ValueError: for images, settings or folders that cannot work, and for a loss
            that is not finite.
    """
    world = world or World.joined()
    folder = RunFolder(out)
    if config.rows:
        rows_of(config)  # Names that do not exist are refused before a folder is made.
    world.first(lambda: folder.enter(config))
    if (finished := world.first(lambda: folder.result_of(config))) is not None:
        return finished
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked()))
        begin = partial(begin_data, config.data, folder)
        data, told = world.first(begin)
        config = replace(config, data=data)
        source = load(data, services.feed)
        world.first(lambda: folder.match_data(source.identity))
        tell = partial(tell_data, source, config, folder, told, shown=shown)
        world.first(tell)
        device = pick_device()
        settled = settle(config, source.train.image_shape, device)
        world.share(settled.classifier.batch_groups)
        if config.controls == "auto" and not config.rows:
            pick = partial(_pick, settled, source, folder, device, world.size, shown)
            settled = replace(settled, controls=world.first(pick))
        if shown and isinstance(source.train, Stored) and not folder.is_settled:
            tell = partial(_tell_outlook, settled, source, device, world.size)
            world.first(tell)
        world.first(lambda: folder.settle(settled))
        world.first(lambda: folder.list_unreadable(source.bad))
        store = GeneratorStore(cache) if cache else None
        cells = plan_cells(settled, rows_of(settled), range(settled.seeds))
        run_planned(cells, source, folder, world, device, services, store, shown=shown)
        return world.first(lambda: _finish(folder, settled))


def _pick(
    config: RunConfig,
    source: Source,
    folder: RunFolder,
    device: torch.device,
    workers: int,
    shown: bool,
) -> Controls:
    """The controls this run began with, or those it has time for."""
    if folder.is_settled:
        return folder.config().controls
    controls, why = choose_controls(config, source, device, workers)
    if shown:
        Console(stderr=True).print(why, highlight=False, soft_wrap=True)
    return controls


def _tell_outlook(
    config: RunConfig, source: Source, device: torch.device, workers: int
) -> None:
    """Long runs say first what they will take; short ones show it as they go."""
    console = Console(stderr=True)
    for line in outlook(config, source, device, workers):
        console.print(line, highlight=False, soft_wrap=True)


def run_planned(
    cells: Sequence[Planned],
    source: Source,
    folder: RunFolder,
    world: World,
    device: torch.device,
    services: Services = ALONE,
    store: GeneratorStore | None = None,
    *,
    shown: bool,
) -> None:
    """Run the cells that are not finished yet, one after another.

    A folder's cells must be planned alike each time: a checkpoint knows its cell by
    its number.
    """
    display = Display(
        [cell.steps for cell in cells],
        [cell.config.rounds.rounds for cell in cells],
        shown=shown and world.is_first,
    )
    writing = watchers_in(folder.path) if world.is_first else []
    books = Recorder(
        folder,
        cells[0].config.rounds,
        world,
        display,
        [*writing, *services.watchers],
        services.is_leaving,
    )
    with contextlib.closing(books) as kept:
        # All rows of a seed have the same splits.
        splits_of = lru_cache(maxsize=1)(partial(divide, source, cells[0].config.data))
        for number, planned in enumerate(cells):
            name, seed = planned.row.name, planned.seed
            if world.first(partial(folder.cell_result, name, seed)) is not None:
                display.skip_cell(number)
                continue
            state = kept.begin_cell(number, name, seed, planned.config.rounds)
            config = world.first(partial(config_for, planned, folder))
            splits = splits_of(seed)
            if planned.fits_generator:
                features = world.first(partial(features_for, planned, folder))
                fit = GeneratorFit(seed, splits, config, world, device, features)
                provide_generator(fit, state, kept, store)
                continue
            generator = world.first(partial(generator_for, planned, folder))
            driver = world.first(partial(driver_for, planned, folder))
            policy = world.first(partial(policy_for, planned, folder))
            cell = Cell(
                planned.row, seed, splits, config, world, device,
                generator, driver, policy,
            )  # fmt: skip
            if state is not None:
                cell.load(state)
            run_cell(cell, splits, kept, services.solver)
            finish = partial(_finish_cell, planned, cell, splits, folder, kept)
            display.say(_said(world.first(finish)))


def _finish_cell(
    planned: Planned, cell: Cell, splits: Splits, folder: RunFolder, kept: Recorder
) -> dict[str, Any]:
    found: dict[str, Any] = {"row": planned.row.name, "seed": planned.seed}
    found |= _scores("selection", cell, splits.selection)
    if planned.sees_test:
        # The only place where test images are looked at.
        found |= _scores("test", cell, splits.test) | choice_of(planned, folder)
    if cell.row.is_learned:
        found["strength"] = cell.strength
    # A candidate was tried to be chosen or not: its weights are not needed.
    weights = {} if planned.candidate is not None else cell.weights()
    kept.finish_cell(weights, found)
    return found


def _scores(name: str, cell: Cell, split: Labelled) -> dict[str, Any]:
    found = assess(cell, split.to(cell.device))
    return {
        f"{name}_loss": found.loss,
        f"{name}_top1": found.accuracy,
        f"{name}_top5": found.top5,
        f"{name}_balanced": found.balanced,
        f"{name}_by_class": list(found.by_class),
    }


def _said(found: dict[str, Any]) -> str:
    split = "test" if "test_top1" in found else "selection"
    score = f"{found[f'{split}_top1']:.2f} % top-1 on {split}"
    base = f" (base {found['base']})" if "base" in found else ""
    return f"{found['row']} seed {found['seed']}: {score}{base}"


def _finish(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    result = summarise(folder, config)
    folder.finish(result)
    return result
