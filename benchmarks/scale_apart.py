"""What a run costs beside its steps: the start on Ray, checkpoints, its books."""

import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from paired import take_turns, timed
from ray.train import RunConfig as RayRunConfig
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from scale_steps import PROBLEMS

from infaug.config import RoundsConfig
from infaug.descent import parameters_of
from infaug.distributed.local import connect
from infaug.precision import pick_device
from infaug.record.checkpoint import save_checkpoint
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.steps import Interval, MetricsWriter, Position, StepInfo
from infaug.record.training_logger import TrainingLogger, writers_in
from infaug.training.alternation import classify
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

INTERVAL = RoundsConfig().checkpoint_every_steps


def start_up(workers: int) -> dict[str, float]:
    """Seconds from nothing to Ray, and from there into the training function."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.time()
        connect(workers)
        connected = time.time()
        try:
            trainer = TorchTrainer(
                _enter,
                train_loop_config={"note": f"{scratch}/entered"},
                torch_config=TorchConfig(backend="gloo"),
                scaling_config=ScalingConfig(num_workers=workers),
                run_config=RayRunConfig(name="start-up", storage_path=scratch),
            )
            trainer.fit()
            entered = float(Path(scratch, "entered").read_text())
            ended = time.time()
        finally:
            ray.shutdown()
    return {
        "ray_init_s": connected - began,
        "fit_to_entered_s": entered - connected,
        "left_to_returned_s": ended - entered,
    }


def _enter(job: dict[str, str]) -> None:
    if ray.train.get_context().get_world_rank() == 0:
        Path(job["note"]).write_text(str(time.time()))


def learned_training(name: str, world: World) -> Training:
    """A training of the learned row whose optimizers have moments already."""
    problem = PROBLEMS[name]
    training = Training(
        METHODS["base_learned"],
        0,
        problem.splits(),
        problem.config,
        world,
        pick_device(),
    )
    for optimizer in training.optimizers.values():
        for parameter in parameters_of(optimizer):
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return training


def checkpoint(name: str, repeats: int) -> dict[str, float]:
    """Seconds to save the whole state of a training, and its size.

    `one_percent_s` is the step below which a checkpoint at the default interval would
    cost more than a hundredth of the training.
    """
    training = learned_training(name, World())
    with tempfile.TemporaryDirectory() as scratch:
        place = Position(round=0, phase="classify", step=1)
        folder = Path(scratch)
        save = timed(lambda: save_checkpoint(folder, place, 0, training.tensors()))
        seconds = statistics.median(take_turns({"save": save}, repeats)["save"])
        newest = max(folder.glob("*.safetensors"))
        size = newest.stat().st_size
    return {
        "seconds": seconds,
        "mib": size / 2**20,
        "one_percent_s": 100 * seconds / INTERVAL,
    }


class _Kept(MetricsWriter):
    """Remembers what intervals took."""

    def __init__(self):
        self.intervals: list[Interval] = []

    def timing(self, info: StepInfo, interval: Interval) -> None:
        """Keep it."""
        self.intervals.append(interval)


def books(name: str, steps: int) -> dict[str, Any]:
    """Seconds a step of F in a run as it is, with all writers, by part."""
    problem, kept = PROBLEMS[name], _Kept()
    rounds = replace(problem.config.rounds, classifier_steps=steps)
    world, splits = World(), problem.splits()
    config = replace(problem.config, rounds=rounds)
    with tempfile.TemporaryDirectory() as scratch:
        display = Display(["base"], [{"classify": steps}], [1], shown=False)
        folder = RunFolder(scratch).training("base", 0)
        writers = [*writers_in(folder), kept]
        logger = TrainingLogger(folder, 0, rounds, world, display, writers)
        training = Training(METHODS["base"], 0, splits, config, world, pick_device())
        with closing(logger):
            left = logger.left(0, "classify", steps)
            done = classify(training, 0, left, splits.selection)
            logger.follow(0, "classify", left, done, training)
    intervals = kept.intervals[1:]  # The first one warms up.
    num = sum(interval.steps for interval in intervals)
    parts: dict[str, float] = {}
    for interval in intervals:
        for part, spent in interval.seconds_a_step.items():
            parts[part] = parts.get(part, 0.0) + spent * interval.steps / num
    trained = parts["total"] - parts.get("checkpoint", 0.0)
    return {"seconds_a_step": parts, "record_share": parts["record"] / trained}
