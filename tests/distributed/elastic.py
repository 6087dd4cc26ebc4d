"""A run on one to three workers, as many as a cluster has room for, and without Ray."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tiny import CONFIG as TINY

from infaug.config import (
    AdversarialConfig,
    ClassifierConfig,
    EstimatorConfig,
    RoundsConfig,
    RunConfig,
    to_dict,
)
from infaug.record.folder import RunFolder

from .heads import Head

CONFIG = replace(
    TINY,
    methods=("base_learned",),
    data=replace(TINY.data, labels=300, image_size=16),
    classifier=ClassifierConfig(batch_size=96, batch_groups=6, precision="float64"),
    adversarial=AdversarialConfig(batch_size=6),
    estimator=EstimatorConfig(batch_size=12),
    rounds=RoundsConfig(
        rounds=2, classifier_steps=500, estimator_steps=20, log_every_steps=10,
        checkpoint_every_steps=20,
    ),
)  # fmt: skip
JOB = """
import json, sys
from pathlib import Path
from infaug.config import RunConfig, from_dict
from infaug.distributed.train import fit_on_workers
from infaug.count_range import CountRange

config, out, most, settings = json.loads(sys.argv[1])
workers = CountRange(min=1, max=most)
fit_on_workers(from_dict(RunConfig, config), Path(out), workers, **settings)
"""
PATIENCE_S = 400.0


def workers_of(out: Path) -> list[int]:
    """How many trained together, at each beginning."""
    return [line["workers"] for line in RunFolder(out).lines("starts.jsonl")]


def await_workers(count: int, running: subprocess.Popen, out: Path) -> None:
    """Until so many train, and have done fifty steps since they began."""
    until = time.monotonic() + PATIENCE_S
    while not workers_of(out) or workers_of(out)[-1] != count:
        assert running.poll() is None, "the run ended too early"
        assert time.monotonic() < until, f"{count} workers do not come"
        time.sleep(0.2)
    logged = len(RunFolder(out).lines("metrics.jsonl"))
    while len(RunFolder(out).lines("metrics.jsonl")) < logged + 5:
        assert running.poll() is None, "the run ended too early"
        time.sleep(0.2)


def start(
    cluster: Head, out: Path, config: RunConfig = CONFIG, most: int = 3, **settings
) -> subprocess.Popen:
    """Train on one to `most` workers; `settings` of `fit_on_workers`."""
    environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}
    job = json.dumps([to_dict(config), str(out), most, {"resize_s": 3, **settings}])
    with out.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", JOB, job], env=environment, stdout=log, stderr=log
        )


ALONE = """
import json, sys
from infaug.experiment.run import run
from infaug.config import RunConfig, from_dict

config, out = json.loads(sys.argv[1])
run(from_dict(RunConfig, config), out, shown=False)
"""


def alone(out: Path, config: RunConfig = CONFIG) -> subprocess.Popen:
    """The same run without Ray, in a process of its own."""
    job = json.dumps([to_dict(config), str(out)])
    return subprocess.Popen([sys.executable, "-c", ALONE, job])
