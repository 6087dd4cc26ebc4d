r"""CIFAR-10 with ResNet-56, 10 % or all of the labels: the papers' settings.

Lee et al. (ICLR 2019 submission), top-1 on test, none / heuristic / TANDA / proposed:
66.0 / 77.5 / 81.5 / 82.1 with 10 % of the labels, 87.8 / 92.3 / 94.4 / 94.8 with all.
Theirs are one network each; here every method has two views of each image. 5,000 images
drive the influence, 1,000 choose; batch 128; 8,000 steps on one cosine. With WRN-28-10
and all labels the CVPR 2020 paper has 97.2 (second-hand). Not run here yet.

    infaug data prepare cifar10 FOLDER
    python ray_jobs/cifar10.py --data FOLDER --out runs/cifar10-10
    python ray_jobs/cifar10.py --data FOLDER --out runs/cifar10 --data.labels None \
        --rounds.rounds 128
    python ray_jobs/cifar10.py --data FOLDER --out runs/cifar10-wrn \
        --data.labels None --rounds.rounds 128 \
        --network wrn28_10 --classifier.weight-decay 5e-4

The same command continues it, so it can be run in pieces; `--workers 4` trains on four
GPUs. Cost, all an estimate: the first command a quarter of an hour a method and seed on
one recent GPU, so 2.5 hours for five methods and two seeds; the second eight times
that.
"""

import sys
from dataclasses import replace

from infaug.cli.fit import job
from infaug.config import (
    ClassifierConfig,
    DataConfig,
    EstimatorConfig,
    RoundsConfig,
    RunConfig,
)
from infaug.training.methods import RANDOM_METHODS

CONFIG = RunConfig(
    data=DataConfig(
        source="cifar10", labels=5000, target=6000, influence_share=5 / 6, mode="RGB"
    ),
    classifier=ClassifierConfig(network="resnet56", batch_size=128),
    estimator=EstimatorConfig(batch_size=128),
    rounds=RoundsConfig(rounds=16, classifier_steps=500, estimator_steps=100),
    methods=("none", "base", *RANDOM_METHODS, "base_learned"),
    seeds=2,
)
SMOKE = replace(
    CONFIG,
    seeds=1,
    rounds=RoundsConfig(rounds=2, classifier_steps=2, estimator_steps=1),
)

if __name__ == "__main__":
    sys.exit(job(CONFIG, "runs/cifar10", SMOKE))
