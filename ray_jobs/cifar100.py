r"""CIFAR-100 with all labels and ResNet-56 or WRN-28-10: the papers' settings.

"Learning Augmentation Network via Influence Functions" (Lee et al., CVPR 2020), top-1
on test, second-hand: 70.4 with ResNet-56, 82.7 with WRN-28-10 (RandAugment 83.3,
TrivialAugmentWide 84.3). 5,000 images drive the influence, 1,000 choose; batch 128;
64,000 steps on one cosine. Not run here yet.

    infaug data prepare cifar100 FOLDER
    python ray_jobs/cifar100.py --data FOLDER --out runs/cifar100
    python ray_jobs/cifar100.py --data FOLDER --out runs/cifar100-wrn \
        --network wrn28_10 --classifier.weight-decay 5e-4 --workers 4

The same command continues it, so it can be run in pieces; `--workers 4` trains on four
GPUs. Cost, an estimate: the first command two hours a method and seed on one recent
GPU, twenty hours in all; the second several times that.
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
    data=DataConfig(source="cifar100", target=6000, influence_share=5 / 6, mode="RGB"),
    classifier=ClassifierConfig(network="resnet56", batch_size=128),
    estimator=EstimatorConfig(batch_size=128),
    rounds=RoundsConfig(rounds=128, classifier_steps=500, estimator_steps=100),
    methods=("none", "base", *RANDOM_METHODS, "base_learned"),
    seeds=2,
)
SMOKE = replace(
    CONFIG,
    seeds=1,
    rounds=RoundsConfig(rounds=2, classifier_steps=2, estimator_steps=1),
)

if __name__ == "__main__":
    sys.exit(job(CONFIG, "runs/cifar100", SMOKE))
