import pytest
import torch

from infaug.config import PolicyConfig, RoundsConfig, RunConfig
from infaug.estimate.policy import (
    Policy,
    advantages,
    build_policy_optimizer,
    fit_policy,
)
from infaug.randomness import RandomNumbers
from infaug.training.alternation import first_taught
from infaug.world import World

CONFIG = PolicyConfig(
    operations=("identity", "invert", "brightness", "rotate"), num_draws=2
)


def batch_at(step: int):
    x = torch.full((128, 1, 6, 6), 0.2)
    return x, torch.zeros(128, 2), RandomNumbers.of_size(128, 0, "policy", step)


def darkness(step: int, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A score that bright images lower, as if they helped."""
    return -x.mean(dim=(1, 2, 3))


def fitted(config: PolicyConfig, steps: range = range(60), policy=None, optimizer=None):
    policy = policy or Policy(config, 1)
    optimizer = optimizer or build_policy_optimizer(policy)
    found = [
        metrics
        for _, metrics in fit_policy(
            policy, optimizer, darkness, batch_at, steps, world=World()
        )
    ]
    return policy, optimizer, found


def test_a_policy_begins_uniform():
    policy = Policy(CONFIG, 1)
    assert float(policy.entropy().detach()) == pytest.approx(1)
    assert list(policy.shares().values()) == pytest.approx([0.25] * 4)
    choice = policy.choose(RandomNumbers.of_size(4000, 0, "uniform"))
    shares = choice.picked.flatten().bincount(minlength=36) / 8000
    assert shares.min() > 0.015
    assert shares.max() < 0.045


def test_choices_follow_the_probabilities():
    policy = Policy(CONFIG, 1)
    with torch.no_grad():
        policy.logits[0, 7], policy.logits[1, 30] = 20, 20
    choice = policy.choose(RandomNumbers.of_size(500, 0, "sure"))
    assert choice.picked.eq(torch.tensor([7, 30])).all()


def test_a_policy_learns_what_lowers_the_score():
    policy, _, found = fitted(CONFIG)
    shares = policy.shares()
    assert shares["brightness"] + shares["invert"] > 0.75
    assert found[-1]["objective"] < found[0]["objective"] - 0.1


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_policy_does_not_collapse_below_its_smallest_entropy(share):
    config = PolicyConfig(operations=CONFIG.operations, min_entropy=share)
    policy, _, found = fitted(config)
    assert min(each["entropy"] for each in found) >= share - 1e-4
    assert found[-1]["entropy"] == pytest.approx(share, abs=0.05)
    shares = policy.shares()
    assert max(shares, key=shares.__getitem__) in ("invert", "brightness")


def test_the_same_updates_give_the_same_policy_also_when_continued():
    whole, _, _ = fitted(CONFIG, range(20))
    part, optimizer, _ = fitted(CONFIG, range(12))
    part, _, _ = fitted(CONFIG, range(12, 20), part, optimizer)
    assert whole.logits.equal(part.logits)


def test_views_do_not_depend_on_who_holds_which_group():
    policy, x = Policy(CONFIG, 1), torch.rand(8, 1, 6, 6)
    whole = policy(x, RandomNumbers(0, "g", groups=range(2), group_size=4))
    second = policy(x[4:], RandomNumbers(0, "g", groups=range(1, 2), group_size=4))
    torch.testing.assert_close(whole[4:], second)


def test_unknown_operations_are_refused_and_colours_left_out_of_grey_images():
    with pytest.raises(ValueError, match="no operation 'rotat'"):
        Policy(PolicyConfig(operations=("rotat",)), 1)
    names = Policy(PolicyConfig(operations=("invert", "hue")), 1).names
    assert names == ("invert",)


def test_a_choice_gains_its_mean_reward_shrunken_by_pseudo_images():
    config = PolicyConfig(
        operations=("identity", "invert"), num_strengths=3, num_draws=1, shrinkage=2
    )
    picked = torch.tensor([[1], [1], [4]])
    found = advantages(Policy(config, 1), picked, torch.tensor([1.0, 3.0, -2.0]))
    # Half of what a strength saw is its own, a quarter goes to either neighbour.
    expected = [1 / 2.5, 2 / 3, 1 / 2.5, -0.5 / 2.25, -1 / 2.5, -0.5 / 2.25]
    assert found[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("rounds", "first"), [(2, 0), (3, 1), (5, 1)])
def test_a_policy_is_taught_from_the_second_refresh_on_if_there_is_one(rounds, first):
    config = RunConfig(rounds=RoundsConfig(rounds=rounds))
    assert first_taught(config) == first
