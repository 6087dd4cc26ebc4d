"""Whatever of a run is killed, whenever: its files are those of the undisturbed run.

Two training workers, a pool, Ray Data and a driver, on two nodes of which one comes and
goes. Where a run cannot go on by itself, the same command continues it. `make chaos`
ends with the tally.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from killed import contents

from infaug.randomness import generator

from .heads import Head, head, kill_node
from .streamed import write_digits
from .victims import TITLES, kill_one

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

NUM_RUNS = int(os.environ.get("INFAUG_CHAOS_RUNS", "30"))
VICTIMS = (*TITLES, "driver", "added node")
MOST_COMMANDS = 4  # of one run: the first, and the same again
PATIENCE_S = 600.0

# Every phase, on a stream; the pool works while F trains.
JOB = {
    "--data.stream-above-gib": "0",
    "--data.image-size": "16",
    "--data.mode": "L",
    "--labels": "120",
    "--target": "40",
    "--data.influence-share": "0.5",
    "--data.test": "40",
    "--rows": "base_learned",
    "--seeds": "1",
    "--classifier.batch-size": "16",
    "--classifier.batch-groups": "4",
    "--estimator.batch-size": "16",
    "--transform.tau-size": "8",
    "--refresh": "overlap",
    "--refresh-lag": "20",
    "--rounds.rounds": "3",
    "--rounds.classifier-steps": "60",
    "--rounds.estimator-steps": "20",
    "--rounds.log-every-steps": "5",
    "--rounds.checkpoint-every-steps": "10",
    "--workers": "2",
    "--pool": "1",
}


@pytest.mark.timeout(3600)
def test_every_run_ends_with_the_undisturbed_bytes_whatever_is_killed(tmp_path):
    images = tmp_path / "images"
    write_digits(images, 240)
    moments = torch.rand(NUM_RUNS, generator=generator("chaos")).tolist()
    said = []
    with head(num_cpus=2) as cluster:
        with cluster.node(3):
            calm_s = calm_run(cluster, images, tmp_path / "calm")
        expected = contents(tmp_path / "calm")
        for number, moment in enumerate(moments):
            kind, out = VICTIMS[number % len(VICTIMS)], tmp_path / f"run{number}"
            commands, struck = disturbed_run(
                kind, cluster, images, out, moment * calm_s
            )
            same = contents(out) == expected
            said.append((kind, commands, struck, same))
            print(number, *said[-1], flush=True)
    same = sum(same for *_, same in said)
    struck = sum(struck for _, _, struck, _ in said)
    alone = sum(commands == 1 for _, commands, _, _ in said)
    print(
        f"CHAOS {same} of {NUM_RUNS} runs with the undisturbed bytes: {struck} struck "
        f"while they trained, {alone} went on by themselves, the others by the same "
        "command"
    )
    assert same == NUM_RUNS
    assert struck > 0.8 * NUM_RUNS, "most kills must fall into a run"


def calm_run(cluster: Head, images: Path, out: Path) -> float:
    """The undisturbed run; seconds from its first line of metrics to its end."""
    running = start(cluster, images, out)
    while not trains(out):
        assert running.poll() is None, log_of(out).read_text()
        time.sleep(0.1)
    began = time.monotonic()
    assert running.wait(PATIENCE_S) == 0, log_of(out).read_text()
    return time.monotonic() - began


def disturbed_run(
    kind: str, cluster: Head, images: Path, out: Path, moment_s: float
) -> tuple[int, bool]:
    """Commands it took to the end, and whether something was killed while it ran."""
    with cluster.node(3) as node:
        running = start(cluster, images, out)
        kill: dict[str, Callable[[], bool]] = {
            "driver": lambda: done(running.kill()),
            "added node": lambda: done(kill_node(node)),
        }
        by_title = lambda: kill_one(kind, cluster, moment_s % 1)  # noqa: E731
        struck = strike(kill.get(kind, by_title), running, out, moment_s)
        if kind != "added node":
            return end(running, cluster, images, out), struck
    with cluster.node(3):  # an autoscaler's next machine
        return end(running, cluster, images, out), struck


def done(_: None) -> bool:
    """What a deed says that cannot miss."""
    return True


def strike(
    kill: Callable[[], bool], running: subprocess.Popen, out: Path, moment_s: float
) -> bool:
    """Kill at a moment of the training, or as soon after as there is one to kill."""
    while running.poll() is None and not trains(out):
        time.sleep(0.05)
    time.sleep(moment_s)
    while running.poll() is None:
        if kill():
            return True
        time.sleep(0.02)
    return False


def end(running: subprocess.Popen, cluster: Head, images: Path, out: Path) -> int:
    """Wait, and say the same again where the run does not go on; how often it was."""
    for commands in range(1, MOST_COMMANDS + 1):
        if running.wait(PATIENCE_S) == 0:
            return commands
        running = start(cluster, images, out)
    running.kill()
    raise AssertionError(log_of(out).read_text())


def start(cluster: Head, images: Path, out: Path) -> subprocess.Popen:
    """The job, as a user starts it on a cluster."""
    environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    command = [sys.executable, "-m", "infaug.cli", "fit"]
    command += [f"{flag}={value}" for flag, value in JOB.items()]
    command += [f"--data={images}", f"--out={out}"]
    with log_of(out).open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def log_of(out: Path) -> Path:
    """What all commands of a run printed."""
    return out.with_suffix(".log")


def trains(out: Path) -> bool:
    """Whether a run has logged steps."""
    metrics = out / "metrics.jsonl"
    return metrics.exists() and metrics.stat().st_size > 0
