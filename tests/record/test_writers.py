"""Those who follow a run: what they are told, and what they leave."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from full_disk import full_disk
from killed import different
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import tiny

from infaug.experiment.run import run
from infaug.record import training_logger
from infaug.record.folder import RunFolder
from infaug.record.steps import Interval, Metrics, MetricsWriter, StepInfo
from infaug.record.tensorboard import TensorBoard
from infaug.training import train
from infaug.training.train import Services

CONFIG = tiny(methods=("base_learned",))


class Remembering(MetricsWriter):
    """Remembers what it was told; stops the run where it was to stop."""

    def __init__(self, stop_at: tuple[int, str, int] | None = None):
        self.stop_at = stop_at
        self.begun: list[tuple[str, int, int]] = []
        self.of_metrics: list[tuple[StepInfo, Metrics]] = []
        self.of_timing: list[tuple[StepInfo, Interval]] = []
        self.is_closed = False

    def begin(self, method: str, seed: int, global_step: int) -> None:
        self.begun.append((method, seed, global_step))

    def metrics(self, info: StepInfo, metrics: Metrics) -> None:
        self.of_metrics.append((info, metrics))
        if (info.round, info.phase, info.step) == self.stop_at:
            raise KeyboardInterrupt

    def timing(self, info: StepInfo, interval: Interval) -> None:
        self.of_timing.append((info, interval))

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> tuple[Path, Remembering]:
    out, told = tmp_path_factory.mktemp("watched") / "run", Remembering()
    run(CONFIG, out, shown=False, services=Services(writers=[told]))
    return out, told


@pytest.fixture(scope="module")
def resumed(tmp_path_factory) -> tuple[Path, Remembering]:
    """A run that was stopped between two checkpoints and continued."""
    out, told = tmp_path_factory.mktemp("resumed") / "run", Remembering()
    with pytest.raises(KeyboardInterrupt):
        run(
            CONFIG,
            out,
            shown=False,
            services=Services(writers=[Remembering(stop_at=(1, "classify", 4))]),
        )
    run(CONFIG, out, shown=False, services=Services(writers=[told]))
    return out, told


def lines(out: Path, name: str) -> list[dict]:
    return RunFolder(out).lines(name)


def curves(out: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows of a training, by tag and step."""
    folder = out / "tensorboard" / "base_learned-seed0"
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    found = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    for tag, points in found.items():
        steps = [point.step for point in points]
        assert steps == sorted(set(steps)), f"{tag} has a step twice"
    return {tag: {p.step: p.value for p in points} for tag, points in found.items()}


def of_metrics(found: dict[str, dict[int, float]], out: Path) -> dict:
    """Those curves that are no timings."""
    names = {
        f"{line['phase']}/{key}" for line in lines(out, "metrics.jsonl") for key in line
    }
    return {tag: points for tag, points in found.items() if tag in names}


def test_a_watcher_is_told_of_every_line_of_the_metrics(watched):
    out, told = watched
    labels = {"method": "method", "seed": "seed", "round": "round"}
    labels |= {"phase": "phase", "step": "step"}
    said = [
        {**{key: getattr(info, name) for key, name in labels.items()}, **metrics}
        for info, metrics in told.of_metrics
    ]
    assert said == lines(out, "metrics.jsonl")
    assert told.begun == [("base_learned", 0, 0)]
    assert told.is_closed


def test_positions_grow_as_the_training_goes_on(watched):
    positions = [info.global_step for info, _ in watched[1].of_metrics]
    assert positions == sorted(set(positions))


def test_event_files_hold_the_numbers_of_the_metrics(watched):
    out, told = watched
    found = curves(out)
    numbers = 0
    for info, metrics in told.of_metrics:
        for name, value in metrics.items():
            if not isinstance(value, str):
                shown = found[f"{info.phase}/{name}"][info.global_step]
                assert shown == pytest.approx(value, rel=1e-6)
                numbers += 1
    assert numbers == sum(map(len, of_metrics(found, out).values()))


def test_a_resumed_run_shows_the_curves_of_the_undisturbed_one(watched, resumed):
    assert resumed[1].begun == [("base_learned", 0, 15)]  # a checkpoint every 3 steps
    shown = of_metrics(curves(resumed[0]), resumed[0])
    assert shown == of_metrics(curves(watched[0]), watched[0])
    assert shown["classify/loss"].keys() >= {2, 4, 6, 14, 16, 18}


def test_a_run_has_the_same_bytes_whoever_follows_it(watched, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "writers_in", lambda folder: [])
    run(CONFIG, tmp_path / "run", shown=False)
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert different(tmp_path / "run", watched[0]) == []


def test_every_step_is_timed_once_and_by_what_it_waits_for(watched):
    _, told = watched
    steps: dict[str, int] = {}
    parts: dict[str, set[str]] = {}
    for info, interval in told.of_timing:
        steps[info.phase] = steps.get(info.phase, 0) + interval.steps
        parts.setdefault(info.phase, set()).update(interval.parts)
    assert steps == {"classify": 12, "refresh": 1, "estimate": 4, "review": 1}
    assert parts["classify"] == {"data", "views", "selection", "record", "checkpoint"}
    assert parts["refresh"] == {"s_val", "record", "checkpoint"}
    assert {"data", "views", "checkpoint"} <= parts["estimate"]
    of_f = [s for info, s in told.of_timing if info.phase == "classify"]
    assert sum(interval.counts["images"] for interval in of_f) == 12 * 8


def test_timings_and_their_curves_say_what_the_watchers_were_told(watched):
    out, told = watched
    found, written = curves(out), lines(out, "timings.jsonl")
    assert len(written) == len(told.of_timing)
    for line, (info, interval) in zip(written, told.of_timing, strict=True):
        assert line["phase"] == info.phase
        assert line["seconds"] == pytest.approx(interval.seconds, abs=1e-5)
        assert line["own_seconds"] == pytest.approx(interval.own_seconds, abs=1e-5)
        shown = found[f"time.{info.phase}/total"][info.global_step]
        assert shown == pytest.approx(interval.seconds / interval.steps, rel=1e-6)
    refresh = next(line for line in written if line["phase"] == "refresh")
    assert refresh["staleness_steps"] == 0
    assert refresh["waited_seconds"] >= refresh["s_val_seconds"] - 1e-4


def test_gpu_memory_is_the_peak_since_it_was_last_asked(monkeypatch):
    assert training_logger.peak_gpu_gib() is None, "no GPU has been used"
    held, forgotten = [3 * 2**30], []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: held[0])
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda: forgotten.append(held[0])
    )
    assert training_logger.peak_gpu_gib() == 3
    assert forgotten == held


def test_a_full_disk_costs_no_run_and_no_point_that_it_takes_later(tmp_path):
    board = TensorBoard(tmp_path)
    board.begin("base_learned", 0, 0)
    at = {"method": "base_learned", "seed": 0, "round": 0, "phase": "classify"}
    for step in range(1, 7):
        info = StepInfo(**at, step=step, global_step=step)
        with full_disk(200) if step < 6 else nullcontext():
            board.metrics(info, {"loss": 1 / step})
    board.close()
    folder = tmp_path / "base_learned-seed0"
    points = EventAccumulator(str(folder)).Reload().Scalars("classify/loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5, 6]
