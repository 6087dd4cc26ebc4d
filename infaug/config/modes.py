"""The papers' settings by name; the defaults of every setting are mode `online`.

A mode is only a set of values: settings given beside it win. Where a paper is silent,
or its value cannot work here, the choice is named below.
"""

from dataclasses import replace
from typing import Literal

from infaug.config.run import Mode, RunConfig

_FIT: dict[Mode, Literal["none", "wgan_gp", "ragan"]] = {
    "online": "none",
    "iclr": "wgan_gp",
    "cvpr": "ragan",
}


def in_mode(config: RunConfig, mode: Mode) -> RunConfig:
    """`config` with the values of a mode; what a mode leaves open stays.

    online: G is not fitted adversarially; G and E learn together; s_val each round.
    iclr: G is fitted against critics on images and flows, then frozen; s_val once.
    cvpr: G is fitted against critics on images and features, then learns with E; s_val
    once; tau dropout 0.5. Both papers: the raw influence, no restraint and no noise on
    tau, Adam 0.01 and batches of 128 for E; a fresh F with base and learned views.

    Differs from the papers: E's rate follows a cosine; the adversarial fit keeps its
    own defaults, batches of 32 for 128 and 1e-3 for 1e-4 in critics, with which 300
    updates are enough; G starts from `start_share`. G's rate while E learns (cvpr) is
    not known to us: 1e-4.
    """
    config = replace(
        config, mode=mode, adversarial=replace(config.adversarial, fit=_FIT[mode])
    )
    if mode == "online":
        return config
    is_cvpr = mode == "cvpr"
    return replace(
        config,
        influence=replace(config.influence, objective="raw"),
        estimator=replace(
            config.estimator,
            batch_size=128,
            learning_rate=0.01,
            generator_learning_rate=1e-4 if is_cvpr else 0.0,
            restraint=0.0,
            tau_noise=0.0,
            tau_dropout=0.5 if is_cvpr else 0.0,
        ),
        rounds=replace(config.rounds, s_val="once"),
    )
