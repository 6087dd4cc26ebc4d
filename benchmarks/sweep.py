"""What Ray Tune costs a sweep: trials that do nothing, and their wall-clock time.

    python benchmarks/sweep.py --trials 20 --workers 2

Prints a table, and the same as a line of JSON. `overhead_s` is what is not a trial's
own work, for each trial: starting processes, reports, decisions, places left empty.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from infaug.config import DataConfig, RoundsConfig, RunConfig, SweepConfig
from infaug.distributed.sweep import Capacity, cluster_for, run_trials
from infaug.experiment.sweep.ledger import Progress
from infaug.experiment.sweep.plan import Sweep
from infaug.experiment.sweep.space import Between

ROUNDS = 8


def nothing(trial: Any, path: Any, cache: Any, report: Any) -> None:
    """A trial that reports its rounds and does nothing else."""
    for number in range(1, ROUNDS + 1):
        report(Progress(steps=number, loss=1 / number, top1=50.0, seconds=0.0))


def main() -> None:
    """Run the trials and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    config = RunConfig(
        data=DataConfig(source="digits", labels=60, target=60),
        rounds=RoundsConfig(rounds=ROUNDS, classifier_steps=1),
    )
    capacity = Capacity(at_a_time=args.workers)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, cluster_for(capacity):
        connected = time.perf_counter() - began
        plan = Sweep(
            config=config,
            how=SweepConfig(trials=args.trials, scheduler="none"),
            space={"influence.damping": Between(1e-3, 1e-1, log=True)},
            out=Path(folder) / "sweep",
        )
        plan.enter()
        began = time.perf_counter()
        run_trials(plan, plan.ledger(), capacity, shown=False, work=nothing)
        wall_s = time.perf_counter() - began
    found = {
        "trials": args.trials,
        "at_a_time": args.workers,
        "cluster_s": round(connected, 2),
        "wall_s": round(wall_s, 2),
        "overhead_s": round(wall_s * args.workers / args.trials, 3),
    }
    for name, value in found.items():
        print(f"{name:<16}{value:>10}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
