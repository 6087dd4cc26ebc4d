"""MNIST with 600 labels, used on images rotated by 40 degrees.

E learns from labelled images of where the classifier will be used. `--data` names a
folder with train.parquet and test.parquet (columns `image`, `label`); `infaug data
prepare mnist FOLDER` makes it.

    python ray_jobs/mnist.py --data FOLDER --labels 600 --target 1000 --rotate 40
    python ray_jobs/mnist.py --data FOLDER --labels 600 --target 100 --rotate 40 \
        --out runs/mnist-100
"""

import sys
from dataclasses import replace

from infaug.cli.fit import job
from infaug.config import DataConfig, RoundsConfig, RunConfig, ShiftConfig

CONFIG = RunConfig(
    data=DataConfig(
        source="mnist", labels=600, target=1000, shift=ShiftConfig(rotate_deg=40)
    )
)
SMOKE = replace(
    CONFIG,
    seeds=1,
    rounds=RoundsConfig(rounds=2, classifier_steps=10, estimator_steps=5),
)

if __name__ == "__main__":
    sys.exit(job(CONFIG, "runs/mnist", SMOKE))
