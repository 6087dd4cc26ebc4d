import json

import pytest
import torch
from finished import POLICIES, finished_run
from torchvision import tv_tensors

from infaug.config import ExportConfig, PolicyConfig
from infaug.estimate.policy import Policy
from infaug.experiment.finished import choose_learned
from infaug.export import LearnedAugment
from infaug.export.view import PolicyViews
from infaug.export.write import augment_of, export_run
from infaug.randomness import RandomNumbers, generator
from infaug.record.folder import RunFolder


@pytest.fixture(scope="module")
def policy_run(tmp_path_factory):
    losses = {"base": (0.5, 0.5), "base_learned": (0.4, 0.9)} | POLICIES
    return finished_run(tmp_path_factory.mktemp("policy") / "run", methods=losses)


@pytest.fixture(scope="module")
def exported(policy_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("policy") / "out"
    export_run(policy_run, out, ExportConfig())
    return out


def sure(*picks: tuple[str, int]) -> PolicyViews:
    """A policy that draws these operations and strengths, one after another."""
    config = PolicyConfig(num_draws=len(picks))
    policy = Policy(config, 1)
    with torch.no_grad():
        for position, (name, interval) in enumerate(picks):
            at = policy.names.index(name) * config.num_strengths + interval
            policy.logits[position, at] = 50
    return PolicyViews(policy)


def test_the_policy_of_least_selection_loss_is_exported(policy_run):
    chosen = choose_learned(RunFolder(policy_run))
    assert (chosen.method.name, chosen.seed) == ("policy_online", 0)
    named = choose_learned(RunFolder(policy_run), "pooled_policy", 1)
    assert named.name == "pooled_policy-seed1"
    assert augment_of(policy_run, ExportConfig())[1] == "policy_online-seed0"


@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_equal_draws_give_the_bytes_that_training_saw(
    exported, policy_run, probability
):
    augment = LearnedAugment.load(exported, probability=probability)
    x = torch.rand(8, 1, 16, 16, generator=generator("x"))
    trained = choose_learned(RunFolder(policy_run)).policy()
    views = trained(x, RandomNumbers.of_size(8, "a"))
    found = augment.view(x, RandomNumbers.of_size(8, "a"), (8,)).render(x)
    same = (found == views).flatten(1).all(dim=1)
    assert same.all() if probability == 1 else 0 < same.sum() < 8
    assert found[~same].equal(x[~same])


def test_the_card_says_what_the_policy_draws(exported):
    card = json.loads((exported / "card.json").read_text())
    assert sum(card["shares"].values()) == pytest.approx(1)
    assert card["policy"]["num_draws"] == 3
    assert card["programs"] == {}
    assert "3 operations" in card["what"]


def test_masks_points_and_boxes_move_as_the_pixels_do():
    x = torch.zeros(1, 20, 20)
    x[:, 4:8, 5:9] = 1
    size = (20, 20)
    points = tv_tensors.KeyPoints([[6.5, 5.5]], canvas_size=size)
    boxes = tv_tensors.BoundingBoxes([[5.0, 4, 9, 8]], format="XYXY", canvas_size=size)
    augment = LearnedAugment(sure(("rotate", 7), ("move_x", 6), ("scale", 2)))
    image, mask, points, boxes = augment(
        tv_tensors.Image(x), tv_tensors.Mask(x[0].byte()), points, boxes,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    ys, xs = (image[0] > 0.5).nonzero().float().unbind(1)
    assert not image.equal(x)
    assert (mask > 0).ne(image[0] > 0.5).sum() <= 4
    assert points[0].tolist() == pytest.approx(
        [float(xs.mean()), float(ys.mean())], abs=0.5
    )
    assert boxes[0, 0] - 0.6 <= xs.min() and xs.max() <= boxes[0, 2] - 0.4  # noqa: PT018
    assert boxes[0, 1] - 0.6 <= ys.min() and ys.max() <= boxes[0, 3] - 0.4  # noqa: PT018


def test_a_policy_has_a_probability_and_no_strength(exported):
    with pytest.raises(ValueError, match="set probability"):
        LearnedAugment.load(exported, strength=0.5)(torch.rand(1, 16, 16))
