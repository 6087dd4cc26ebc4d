"""A whole experiment: every method and seed, and what came of it."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from infaug.config import RunConfig
from infaug.data.inspection import inspect, notes_of, twins_in
from infaug.data.on_disk import OnDisk
from infaug.data.source import Source, load
from infaug.experiment.controls import choose
from infaug.experiment.execute import Executor, final_plan, plan_of, threads_of
from infaug.experiment.methods import methods_to_train
from infaug.experiment.outlook import outlook
from infaug.experiment.plan import begin_data, resolve, with_fewer_folds
from infaug.experiment.summary import chosen_methods, summarise
from infaug.precision import pick_device
from infaug.record.folder import RunFolder
from infaug.training.train import ALONE, Services
from infaug.world import World


def run(
    config: RunConfig,
    out: Path | str,
    world: World | None = None,
    *,
    cache: Path | None = None,
    shown: bool = True,
    services: Services = ALONE,
    jobs: int = 1,
) -> dict[str, Any]:
    """Run, or continue, everything `config` asks for; the result is also written.

    Every process of the world calls this with the same arguments. Finished trainings
    are kept, the unfinished one continues from its last checkpoint.

    Args:
        config: what is asked for; `auto` values are resolved here.
        out: the run folder, or a URL at which the run is kept.
        world: who takes part; None for the process group this process has joined.
        cache: where fitted generators of other runs are found and kept; None for none.
        shown: whether progress is printed.
        services: of a cluster.
        jobs: how many trainings are done at a time, each in a process of its own; 1:
            one after another in this process, 0: as many as the cores serve well.

    Returns:
        {"unit", "methods", "verdict", "seconds", "comparisons", "tuned", "gap_closed"};
        see `summarise`.

    Raises:
        ValueError: for images, settings or folders that cannot work, and for a loss
            that is not finite.
    """
    world = world or World.joined()
    folder = RunFolder(out)
    if config.methods:
        methods_to_train(config)  # What is wrong is said before a folder is made.
    world.first(lambda: folder.enter(config))
    if (finished := world.first(lambda: folder.result_of(config))) is not None:
        return finished
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked()))
        data, notes = world.first(partial(begin_data, config, folder))
        source = load(data, services.loader)
        config = replace(config, data=data)
        executor = Executor(
            folder=folder, world=world, services=services, cache=cache, jobs=jobs,
            shown=shown,
        )  # fmt: skip
        config = world.first(partial(_begin, config, source, notes, executor))
        executor.carry_out(plan_of(config), config, source)
        if config.data.folds:
            chosen = world.first(partial(chosen_methods, folder, config))
            executor.carry_out(final_plan(config, chosen), config, source)
        return world.first(partial(_finish, folder, config))


def _begin(
    config: RunConfig, source: Source, notes: Sequence[str], executor: Executor
) -> RunConfig:
    """The resolved config, which the folder keeps; of a run that began, as it began."""
    is_free, device = config.data.folds is None, pick_device()
    folder, world, shown = executor.folder, executor.world, executor.shown
    folder.match_data(source.identity)
    config = resolve(config, source, device)
    _report_data(source, config, folder, notes, shown=shown)
    world.share(config.classifier.batch_groups)
    if folder.is_resolved:
        config = _as_begun(config, folder.config())
    else:
        processes = world.size
        if processes == 1:
            processes = executor.num_jobs(config, source)
        with threads_of(config, world):
            config, lines, _ = choose(
                config, source, device, processes, fewer_folds=is_free
            )
        if shown and isinstance(source.train, OnDisk):
            # Long runs say first what they take; short ones show it as they go.
            lines += outlook(
                config, source, device, world.size,
                loader_name=executor.services.loader_name,
            )  # fmt: skip
        for line in lines if shown else ():
            Console(stderr=True).print(line, highlight=False, soft_wrap=True)
    folder.resolve(config)
    folder.keep_lines("unreadable.txt", source.bad)
    return config


def _report_data(
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


def _as_begun(config: RunConfig, began: RunConfig) -> RunConfig:
    """The config with what was chosen when the run began."""
    # Threads are those it began with, whatever cores there are now.
    config = replace(config, threads=began.threads)
    if config.controls != "auto" or config.methods:
        return config
    if not config.data.folds:
        return replace(config, controls=began.controls)
    config = with_fewer_folds(config, began.data.folds)
    return replace(config, methods=began.methods, rounds=began.rounds)


def train_without_folds(config: RunConfig, out: Path, *, jobs: int) -> RunFolder:
    """Train the methods of a config on all labelled images, and judge none of them.

    The folder is that of the experiment with folds, which `run` makes of it later on.
    """
    folder = RunFolder(out)
    folder.enter(config)
    with folder.locked():
        data, _ = begin_data(config, folder)
        source = load(data)
        config = resolve(replace(config, data=data), source, pick_device())
        folder.match_data(source.identity)
        folder.resolve(config)
    train_finals(folder, config.methods, jobs=jobs)
    return folder


def train_finals(folder: RunFolder, methods: Sequence[str], *, jobs: int) -> None:
    """Train methods of a finished experiment with folds on all labelled images."""
    config = folder.config()
    with folder.locked():
        executor = Executor(folder=folder, world=World(), jobs=jobs)
        executor.carry_out(final_plan(config, methods), config, load(config.data))


def _finish(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    result = summarise(folder, config)
    folder.finish(result)
    return result
