"""Whatever of a run is killed, whenever: its files are those of the undisturbed run.

Two training workers, a pool, Ray Data and a driver, on two nodes of which one comes and
goes. Where a run cannot go on by itself, the same command continues it. `make chaos`
ends with the tally.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from killed import contents

from infaug.randomness import generator
from infaug.record.folder import RunFolder

from .heads import Head, head, kill_node
from .streamed import write_digits
from .victims import TITLES, kill_one

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]

NUM_RUNS = int(os.environ.get("INFAUG_CHAOS_RUNS", "30"))
SEED = int(os.environ.get("INFAUG_CHAOS_SEED", "0"))  # of the moments
VICTIMS = (*TITLES, "driver", "added node")
MOST_COMMANDS = 4  # of one run: the first, and the same again
PATIENCE_S = 600.0

# Every phase; the pool works while F trains.
SETTINGS = {
    "--data.image-size": "16",
    "--data.mode": "L",
    "--labels": "120",
    "--target": "40",
    "--data.influence-share": "0.5",
    "--data.test": "40",
    "--methods": "base_learned",
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


@pytest.mark.timeout(7200)
def test_every_run_ends_with_the_undisturbed_bytes_whatever_is_killed(tmp_path):
    images = tmp_path / "images"
    write_digits(images, 240)
    moments = torch.rand(NUM_RUNS, generator=generator("chaos", SEED)).tolist()
    said = []
    with head(num_cpus=2) as cluster:
        calm, lines = {}, {}
        for streams in (False, True):
            out = tmp_path / f"calm-{streams}"
            with cluster.node(3):
                lines[streams] = calm_run(Job(cluster, images, out, streams))
            calm[streams] = contents(out)
        for number, moment in enumerate(moments):
            kind, out = VICTIMS[number % len(VICTIMS)], tmp_path / f"run{number}"
            streams = kind == "data worker"
            job = Job(cluster, images, out, streams)
            commands, struck = disturbed_run(kind, job, moment * lines[streams])
            same = contents(out) == calm[streams]
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


@dataclass(frozen=True)
class Job:
    """A run on a cluster, as a user starts it, time and again if need be."""

    cluster: Head
    images: Path
    out: Path
    streams: bool
    """Whether Ray Data decodes the images, or they are kept in memory."""

    def start(self) -> subprocess.Popen:
        """The driver."""
        environment = {
            **self.cluster.environment, "RAY_ADDRESS": self.cluster.address,
        }  # fmt: skip
        command = [sys.executable, "-m", "infaug", "fit"]
        command += [f"{flag}={value}" for flag, value in SETTINGS.items()]
        command += [f"--data={self.images}", f"--out={self.out}"]
        command += [f"--data.stream-above-gib={0 if self.streams else 4}"]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    @property
    def log(self) -> Path:
        """What all its drivers printed."""
        return self.out.with_suffix(".log")

    @property
    def lines(self) -> int:
        """How often steps have been logged."""
        return len(RunFolder(self.out).lines("metrics.jsonl"))


def calm_run(job: Job) -> int:
    """The undisturbed run; lines of metrics."""
    assert job.start().wait(PATIENCE_S) == 0, job.log.read_text()
    return job.lines


def disturbed_run(kind: str, job: Job, moment: float) -> tuple[int, bool]:
    """Commands it took to the end, and whether something was killed while it ran."""
    with job.cluster.node(3) as node:
        running = job.start()
        struck = strike(kind, job, running, node, moment)
        if kind != "added node":
            return end(job, running), struck
    with job.cluster.node(3):  # an autoscaler's next machine
        return end(job, running), struck


def strike(
    kind: str,
    job: Job,
    running: subprocess.Popen,
    node: subprocess.Popen,
    moment: float,
) -> bool:
    """Kill once so many lines are logged, or as soon after as there is one to kill."""
    while running.poll() is None and job.lines <= moment:
        time.sleep(0.02)
    while running.poll() is None:
        if kind == "driver":
            running.kill()
        elif kind == "added node":
            kill_node(node)
        elif not kill_one(kind, job.cluster, moment % 1):
            time.sleep(0.02)
            continue
        return True
    return False


def end(job: Job, running: subprocess.Popen) -> int:
    """Wait, and say the same again where the run does not go on; how often it was."""
    for commands in range(1, MOST_COMMANDS + 1):
        if running.wait(PATIENCE_S) == 0:
            return commands
        running = job.start()
    running.kill()
    raise AssertionError(job.log.read_text())
