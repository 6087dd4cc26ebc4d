"""Real handwritten digits whose use is rotated by 40 degrees: the shortest experiment.

scikit-learn's bundled digits at 16x16; 300 are labelled for training, 60 rotated ones
drive and choose (42 influence, 18 selection), 539 rotated ones test. Expected: the
learned methods far above base. Some three minutes on 2 CPU cores (an estimate;
the methods are quick, `--controls full` adds the others); nothing is downloaded.

    python ray_jobs/digits.py --out runs/digits
    ray job submit --working-dir . -- python ray_jobs/digits.py --workers 2 --out /DIR
"""

import sys
from dataclasses import replace

from infaug.cli.fit import job
from infaug.config import DataConfig, RoundsConfig, RunConfig, ShiftConfig

CONFIG = RunConfig(
    data=DataConfig(
        source="digits", labels=300, target=60, shift=ShiftConfig(rotate_deg=40)
    ),
    rounds=RoundsConfig(rounds=8, classifier_steps=60, estimator_steps=30),
    controls="quick",
)
SMOKE = replace(
    CONFIG,
    seeds=1,
    rounds=RoundsConfig(rounds=2, classifier_steps=10, estimator_steps=5),
)

if __name__ == "__main__":
    sys.exit(job(CONFIG, "runs/digits", SMOKE))
