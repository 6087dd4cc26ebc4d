"""Doing the trainings of a plan: in this process, or some at a time in others."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from infaug.config import RunConfig
from infaug.cores import usable_cores
from infaug.data.on_disk import OnDisk
from infaug.data.problem import FINAL, Splits, divide
from infaug.data.source import Source, load
from infaug.experiment.methods import methods_to_train
from infaug.experiment.processes import in_processes
from infaug.experiment.trainings import name_of, needed_by, plan_trainings, resolve
from infaug.precision import pick_device
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.store import GeneratorStore
from infaug.record.training_folder import training_name
from infaug.training.train import ALONE, Services, TrainingSpec, train
from infaug.world import World


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Does the trainings of plans, in this process or some at a time in others.

    Attributes:
        folder: of the experiment.
        world: who trains together.
        services: of a cluster.
        cache: where fitted generators of other runs are found and kept.
        jobs: trainings at a time; 0: as many as the cores serve well.
        shown: whether progress is printed.
    """

    folder: RunFolder
    world: World
    services: Services = ALONE
    cache: Path | None = None
    jobs: int = 1
    shown: bool = False

    def carry_out(
        self, plan: Sequence[TrainingSpec], config: RunConfig, source: Source
    ) -> None:
        """Do all trainings that are not finished yet."""
        jobs = min(self.num_jobs(config, source), len(plan))
        if jobs > 1 and self.world.size == 1:
            run_in_processes(
                plan, self.folder, self.cache,
                jobs=jobs, threads=config.threads, shown=self.shown,
            )  # fmt: skip
            return
        store = GeneratorStore(self.cache) if self.cache else None
        with threads_of(config, self.world):
            run_planned(
                plan, partial(divide, source, config.data), self.folder, self.world,
                pick_device(), services=self.services, store=store, shown=self.shown,
            )  # fmt: skip

    def num_jobs(self, config: RunConfig, source: Source) -> int:
        """How many trainings are done at a time here, if there are as many.

        One where they share a solver pool, or a folder that is copied to a URL.
        """
        if self.services.solver is not None or self.folder.mirror is not None:
            return 1
        return side_by_side(self.jobs, config, source, pick_device())


class Trainer:
    """Does trainings of one plan in this process, with what they share loaded once."""

    def __init__(
        self,
        folder: RunFolder,
        splits_of: Callable[[int], Splits],
        world: World,
        device: torch.device,
        **given: Any,
    ):
        self.folder, self.world, self.device = folder, world, device
        self._given = given
        # All methods of a seed have the same splits.
        self._splits_of = lru_cache(maxsize=1)(
            lambda seed: splits_of(seed).held_by(world)
        )

    def train(self, number: int, spec: TrainingSpec, display: Display) -> None:
        """Do a training that is not finished yet; those it needs are."""
        name, seed = name_of(spec)
        resolved, inputs = self.world.first(partial(resolve, spec, self.folder))
        train(
            resolved,
            self._splits_of(seed),
            self.folder.training(name, seed),
            self.world,
            self.device,
            inputs=inputs,
            display=display,
            number=number,
            **self._given,
        )


def run_planned(
    plan: Sequence[TrainingSpec],
    splits_of: Callable[[int], Splits],
    folder: RunFolder,
    world: World,
    device: torch.device,
    *,
    shown: bool,
    **given: Any,
) -> None:
    """Do the trainings that are not finished yet, one after another.

    `splits_of` divides the images for a seed; `given` goes to `train`.
    """
    trainer = Trainer(folder, splits_of, world, device, **given)
    with contextlib.closing(display_of(plan, shown=shown and world.is_first)) as shows:
        for number, spec in enumerate(plan):
            if world.first(folder.training(*name_of(spec)).result) is None:
                trainer.train(number, spec, shows)
            shows.skip_training(number)


def run_in_processes(
    plan: Sequence[TrainingSpec],
    folder: RunFolder,
    cache: Path | None,
    *,
    jobs: int,
    threads: int,
    shown: bool,
) -> None:
    """Do the trainings that are not finished yet, `jobs` at a time.

    The bytes of each are those that it has alone: it has its own folder and as many
    threads.
    """
    with contextlib.closing(display_of(plan, shown=shown, at_a_time=jobs)) as shows:
        left = []
        for number, spec in enumerate(plan):
            if folder.training(*name_of(spec)).result() is not None:
                shows.skip_training(number)
            else:
                left.append(number)
        work = partial(_train_in_process, str(folder.path), cache, plan)
        ready = partial(_ready, plan)
        for number, _ in in_processes(
            work, left, shows, at_a_time=jobs, threads=threads, ready=ready
        ):
            shows.skip_training(number)


def display_of(
    plan: Sequence[TrainingSpec], *, shown: bool, at_a_time: int = 1
) -> Display:
    """The progress of a plan, `at_a_time` trainings at once."""
    names = [
        training_name(*name_of(spec), folds=spec.config.data.folds) for spec in plan
    ]
    steps = [spec.steps for spec in plan]
    num_rounds = [spec.config.rounds.rounds for spec in plan]
    return Display(names, steps, num_rounds, shown=shown, at_a_time=at_a_time)


def _ready(
    plan: Sequence[TrainingSpec], waiting: Sequence[int], running: Iterable[int]
) -> list[int]:
    """Trainings that need none which waits or runs."""
    unfinished = {name_of(plan[number]) for number in (*waiting, *running)}
    return [n for n in waiting if not unfinished & needed_by(plan[n])]


def _train_in_process(
    path: str,
    cache: Path | None,
    plan: Sequence[TrainingSpec],
    number: int,
    display: Display,
) -> None:
    """A training of an experiment's plan, in this process."""
    _trainer_in(path, cache).train(number, plan[number], display)


@lru_cache(maxsize=1)
def _trainer_in(path: str, cache: Path | None) -> Trainer:
    folder = RunFolder(path)
    data = folder.config().data
    return Trainer(
        folder, partial(divide, load(data), data), World(), pick_device(),
        store=GeneratorStore(cache) if cache else None,
    )  # fmt: skip


def plan_of(config: RunConfig) -> list[TrainingSpec]:
    """All trainings of a resolved config: a function of nothing else.

    Raises:
        ValueError: as `methods_to_train` does.
    """
    return plan_trainings(config, methods_to_train(config), range(config.seeds))


def final_plan(config: RunConfig, methods: Sequence[str]) -> list[TrainingSpec]:
    """The trainings of methods, and what they need, on all labelled images.

    Raises:
        ValueError: as `methods_to_train` does.
    """
    plan = plan_trainings(
        config, methods_to_train(replace(config, methods=tuple(methods))), [FINAL]
    )
    needed = {name_of(spec) for spec in plan if spec.method.name in methods}
    for spec in reversed(plan):  # What a needed one needs comes before it.
        if name_of(spec) in needed:
            needed |= needed_by(spec)
    return [spec for spec in plan if name_of(spec) in needed]


def side_by_side(
    requested: int, config: RunConfig, source: Source, device: torch.device
) -> int:
    """How many trainings the machine does at a time, if there are as many.

    One where they share a GPU, a stream of images that takes all cores, or a network of
    the caller's own.
    """
    if (
        device.type != "cpu"
        or isinstance(source.train, OnDisk)
        or config.classifier.network == "given"
    ):
        return 1
    return requested or max(usable_cores() // config.threads, 1)


@contextlib.contextmanager
def threads_of(config: RunConfig, world: World) -> Iterator[None]:
    """Let this process compute with as many threads as the experiment has resolved.

    Workers of a cluster keep what their cluster gives them.
    """
    before = torch.get_num_threads()
    if world.size == 1:
        torch.set_num_threads(config.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
