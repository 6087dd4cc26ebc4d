"""A whole experiment: every method and seed, and what came of it."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from infaug.config import Controls, RunConfig
from infaug.data.on_disk import OnDisk
from infaug.data.problem import divide
from infaug.data.source import Source, load
from infaug.experiment.beginning import begin_data, report_data
from infaug.experiment.controls import choose_controls, choose_methods
from infaug.experiment.execute import (
    final_plan,
    num_jobs,
    plan_of,
    run_in_processes,
    run_planned,
    threads_of,
)
from infaug.experiment.methods import methods_of
from infaug.experiment.outlook import outlook
from infaug.experiment.pace import measure
from infaug.experiment.plan import resolve_config, with_fewer_folds, with_folds
from infaug.experiment.summary import chosen_methods, summarise
from infaug.precision import pick_device
from infaug.record.folder import RunFolder
from infaug.record.store import GeneratorStore
from infaug.training.services import ALONE, Services
from infaug.training.train import TrainingSpec
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
        see `comparison.summary`.

    Raises:
        ValueError: for images, settings or folders that cannot work, and for a loss
            that is not finite.
    """
    world = world or World.joined()
    folder = RunFolder(out)
    if config.methods:
        methods_of(
            config
        )  # Names that do not exist are refused before a folder is made.
    world.first(lambda: folder.enter(config))
    if (finished := world.first(lambda: folder.result_of(config))) is not None:
        return finished
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked()))
        begin = partial(begin_data, config, folder)
        data, notes = world.first(begin)
        config = replace(config, data=data)
        source = load(data, services.loader)
        is_free = config.data.folds is None
        config = with_folds(config, source)
        world.first(lambda: folder.match_data(source.identity))
        report = partial(report_data, source, config, folder, notes, shown=shown)
        world.first(report)
        device = pick_device()
        resolved = resolve_config(config, source.train.image_shape, device)
        if world.first(lambda: folder.is_resolved):
            # Threads are those it began with, whatever cores there are now.
            began = world.first(folder.config)
            resolved = replace(resolved, threads=began.threads)
        world.share(resolved.classifier.batch_groups)
        at_once = num_jobs(
            jobs, resolved, sys.maxsize, folder, source, services, device
        )
        processes = max(at_once, world.size)
        if config.data.folds and config.controls == "auto" and not config.methods:
            pick = partial(
                _pick_methods, resolved, source, folder, device, world, processes,
                fewer_folds=is_free, shown=shown,
            )  # fmt: skip
            resolved = world.first(pick)
        elif config.controls == "auto" and not config.methods:
            pick = partial(_pick, resolved, source, folder, device, processes, shown)
            resolved = replace(resolved, controls=world.first(pick))
        if shown and isinstance(source.train, OnDisk) and not folder.is_resolved:
            report = partial(
                _print_outlook, resolved, source, device, world.size, services.feed
            )
            world.first(report)
        world.first(lambda: folder.resolve(resolved))
        world.first(lambda: folder.keep_lines("unreadable.txt", source.bad))
        carry_out = partial(
            _carry_out, resolved, source, folder, world, device, services, cache,
            jobs=jobs, shown=shown,
        )  # fmt: skip
        carry_out(plan_of(resolved), ())
        if resolved.data.folds:
            chosen = world.first(partial(chosen_methods, folder, resolved))
            carry_out(final_plan(resolved, chosen), chosen)
        return world.first(lambda: _finish(folder, resolved))


def train_without_folds(config: RunConfig, out: Path, *, jobs: int) -> RunFolder:
    """Train the methods of a config on all labelled images, and judge none of them.

    The folder is that of the experiment with folds, which `run` makes of it later on.
    """
    folder = RunFolder(out)
    folder.enter(config)
    with folder.locked():
        data, _ = begin_data(config, folder)
        source = load(data)
        config = with_folds(replace(config, data=data), source)
        folder.match_data(source.identity)
        config = resolve_config(config, source.train.image_shape, pick_device())
        folder.resolve(config)
    train_finals(folder, config.methods, jobs=jobs)
    return folder


def train_finals(folder: RunFolder, methods: Sequence[str], *, jobs: int) -> None:
    """Train methods of a finished experiment with folds on all labelled images."""
    config = folder.config()
    with folder.locked():
        _carry_out(
            config, load(config.data), folder, World(), pick_device(), ALONE, None,
            final_plan(config, methods), methods, jobs=jobs, shown=False,
        )  # fmt: skip


def _carry_out(
    config: RunConfig,
    source: Source,
    folder: RunFolder,
    world: World,
    device: torch.device,
    services: Services,
    cache: Path | None,
    plan: list[TrainingSpec],
    final: Sequence[str],
    *,
    jobs: int,
    shown: bool,
) -> None:
    """Do all trainings of the plan; `final` are the methods of a `final_plan`."""
    jobs = num_jobs(jobs, config, len(plan), folder, source, services, device)
    if jobs > 1 and world.size == 1:
        run_in_processes(
            plan, final, folder, cache, jobs=jobs, threads=config.threads, shown=shown
        )
        return
    store = GeneratorStore(cache) if cache else None
    with threads_of(config, world):
        run_planned(plan, source, folder, world, device, services, store, shown=shown)


def _pick(
    config: RunConfig,
    source: Source,
    folder: RunFolder,
    device: torch.device,
    processes: int,
    shown: bool,
) -> Controls:
    """The controls this run began with, or those it has time for."""
    if folder.is_resolved:
        return folder.config().controls
    controls, why = choose_controls(config, source, device, processes)
    if shown:
        Console(stderr=True).print(why, highlight=False, soft_wrap=True)
    return controls


def _pick_methods(
    config: RunConfig,
    source: Source,
    folder: RunFolder,
    device: torch.device,
    world: World,
    processes: int,
    *,
    fewer_folds: bool,
    shown: bool,
) -> RunConfig:
    """The methods, steps and folds this began with, or those that it has time for."""
    if folder.is_resolved:
        began = folder.config()
        config = with_fewer_folds(config, began.data.folds)
        return replace(config, methods=began.methods, rounds=began.rounds)
    with threads_of(config, world):
        pace = measure(config, divide(source, config.data), device)
        config, why = choose_methods(
            config, source, pace, processes, fewer_folds=fewer_folds
        )
    if shown:
        Console(stderr=True).print(why, highlight=False, soft_wrap=True)
    return config


def _print_outlook(
    config: RunConfig, source: Source, device: torch.device, workers: int, feed: str
) -> None:
    """Long runs say first what they will take; short ones show it as they go."""
    console = Console(stderr=True)
    for line in outlook(config, source, device, workers, feed=feed):
        console.print(line, highlight=False, soft_wrap=True)


def _finish(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    result = summarise(folder, config)
    folder.finish(result)
    return result
