import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from infaug.config import AdversarialConfig, TransformConfig
from infaug.data.dataset import to_float
from infaug.data.digits import digits
from infaug.descent import Guard
from infaug.estimate.learned_transform import build_transform, random_tau
from infaug.randomness import RandomNumbers
from infaug.transform.affine_flows import start_covariance
from infaug.transform.critics import (
    Adversaries,
    build_adversaries,
    image_and_feature_critics,
    image_and_flow_critics,
)
from infaug.transform.fit import Batch, critics_step, fit_generator, generator_step
from infaug.transform.objective import NAMES, measure_reach
from infaug.world import World

ALONE = World()
IMAGES = to_float(digits(image_size=16).images)
CONFIG = AdversarialConfig(fit="wgan_gp", steps=40, batch_size=32, critic_steps=2)


def batch_at(update: int, world: World = ALONE) -> Batch:
    rng = RandomNumbers("fit", update, groups=world.share(4), group_size=8)
    rows = (rng.fork("rows").uniform(0, len(IMAGES))).long()
    return Batch(IMAGES[rows], IMAGES[rows], rng)


def features_of(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x.flatten(1)[:, ::16])


def begin(config: AdversarialConfig = CONFIG, *, seed: int = 0) -> Adversaries:
    settings = TransformConfig(tau_size=16)
    generator = build_transform(settings, 1, 16, 16, seed).generator
    generator.condition(
        random_tau(16, seed), start_covariance(settings, config, 1, 16, 16)
    )
    if config.fit == "wgan_gp":
        critics = image_and_flow_critics(1, 16, 16, seed)
    else:
        critics = image_and_feature_critics(1, 16, 16, 16, seed)
    return build_adversaries(generator, critics, config)


def fit(
    state: Adversaries, steps: range, config: AdversarialConfig = CONFIG
) -> list[dict[str, float]]:
    done = fit_generator(
        state, batch_at, steps, config, features_of=features_of, world=World()
    )
    return [dict(metrics) for _, metrics in done]


@pytest.mark.slow
def test_after_the_fit_gs_flows_fill_the_affine_ranges_and_stay_inside():
    config = AdversarialConfig(fit="wgan_gp")
    state = begin(config)
    fit(state, range(config.steps), config)
    reach = measure_reach(
        state.average,
        IMAGES[:1000],
        RandomNumbers.of_size(1000, "reach"),
        config.affine,
    )
    for name in NAMES:
        low, high = reach[f"{name}_low"], reach[f"{name}_high"]
        assert low >= -1.1, f"{name}: 5 % of the flows lie below {low}"
        assert high <= 1.1, f"{name}: 5 % of the flows lie above {high}"
        assert high - low >= 1, f"{name} spans less than half of its range"
    assert reach["flow_mse"] > 0.02, "not the identity"
    assert reach["image_mse"] > 0.02, "not the identity"


@pytest.mark.parametrize("gan", ["wgan_gp", "ragan"])
def test_a_fit_is_a_function_of_its_seed(gan):
    config = replace(CONFIG, fit=gan)
    runs = []
    for seed in (0, 0, 1):
        state = begin(config, seed=seed)
        metrics = fit(state, range(2), config)
        runs.append((metrics, state.tensors()))
    (first, state), (again, same), (other, _) = runs
    assert first == again
    assert all(state[key].equal(same[key]) for key in state)
    assert first != other


@pytest.mark.parametrize("gan", ["wgan_gp", "ragan"])
def test_a_resumed_fit_continues_as_if_it_had_never_stopped(gan):
    config = replace(CONFIG, fit=gan)
    whole, halves = begin(config), begin(config)
    fit(whole, range(4), config)
    fit(halves, range(2), config)
    resumed = begin(config, seed=7)
    resumed.load({key: value.clone() for key, value in halves.tensors().items()})
    fit(resumed, range(2, 4), config)
    expected = whole.tensors()
    assert resumed.tensors().keys() == expected.keys()
    assert all(v.equal(expected[k]) for k, v in resumed.tensors().items())


def moved(network: nn.Module, step: Callable[[], object]) -> bool:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    step()
    return any(not v.equal(before[k]) for k, v in network.state_dict().items())


def test_critics_learn_while_g_stays_and_g_while_critics_stay():
    state, batch = begin(), batch_at(0)

    def critics() -> object:
        return critics_step(state, batch, CONFIG, None, ALONE, Guard())

    def generator() -> object:
        return generator_step(state, batch, CONFIG, None, ALONE, Guard())

    assert moved(state.generator, generator)
    assert not moved(state.generator, critics)
    for critic in state.critics.values():
        assert moved(critic, critics)
        assert not moved(critic, generator)


def test_nan_is_refused_before_the_network_moves():
    state = begin()
    before = {k: v.clone() for k, v in state.tensors().items()}

    def broken(update: int) -> Batch:
        batch = batch_at(update)
        return replace(batch, x=batch.x * float("nan"), real=batch.real)

    with pytest.raises(ValueError, match="image_critic: the loss is nan"):
        list(fit_generator(state, broken, range(1), CONFIG, world=ALONE))
    after = state.tensors()
    assert all(v.equal(after[k]) for k, v in before.items())


def test_a_feature_critic_without_features_is_refused():
    config = replace(CONFIG, fit="ragan")
    with pytest.raises(ValueError, match=r"features_of=classifier\.features"):
        list(fit_generator(begin(config), batch_at, range(1), config, world=ALONE))


PROGRAM = """
import json, sys
import torch.distributed as dist
import test_fit as test
from infaug.world import World
place, rank = sys.argv[1], int(sys.argv[2])
dist.init_process_group("gloo", f"file://{place}", rank=rank, world_size=2)
print(json.dumps(test.shared_fit(World.joined())))
"""


def shared_fit(world: World) -> list[dict[str, float]]:
    done = fit_generator(
        begin(), lambda n: batch_at(n, world), range(2), CONFIG, world=world
    )
    return [dict(metrics) for _, metrics in done]


@pytest.mark.slow
def test_two_processes_fit_as_one_does(tmp_path):
    here = Path(__file__).parent
    env = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent.parent}"}
    commands = [
        [sys.executable, "-c", PROGRAM, str(tmp_path / "meet"), str(rank)]
        for rank in range(2)
    ]
    running = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
        for command in commands
    ]
    told = [json.loads(process.communicate()[0]) for process in running]
    assert told[0] == told[1]
    # Another order of summation, through two steps of Adam.
    for ours, alone in zip(told[0], shared_fit(ALONE), strict=True):
        assert ours == pytest.approx(alone, rel=1e-3)
