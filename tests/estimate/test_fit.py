from dataclasses import replace

import pytest
import torch
from resolved import resolved
from tiny import CONFIG

from infaug.classify.loss import soft_cross_entropy
from infaug.config import InfluenceConfig
from infaug.data.problem import load_splits
from infaug.estimate.fit import (
    InfluenceScores,
    build_optimizer,
    fit_estimator,
    influence_of,
)
from infaug.influence.features import head_inputs
from infaug.training.alternation import classify, refresh
from infaug.training.methods import METHODS
from infaug.training.refresher import Sync
from infaug.training.state import Training
from infaug.world import World


@pytest.fixture(scope="module")
def cell() -> Training:
    """A `base_learned` cell whose F has trained a little and whose S is fresh."""
    longer = replace(CONFIG.rounds, classifier_steps=80)
    config = resolved(replace(CONFIG, rounds=longer))
    splits = load_splits(config.data)
    cell = Training(
        METHODS["base_learned"], 0, splits, config, World(), torch.device("cpu")
    )
    list(classify(cell, 0, range(80), splits.selection))
    list(refresh(cell, 0, range(1), Sync(cell, splits.influence)))
    return cell


def fit(cell: Training, steps: range, s_val: torch.Tensor):
    return list(
        fit_estimator(
            cell.transform,
            cell.optimizers["transform"],
            InfluenceScores(cell.classifier, s_val, cell.config.influence, "float32"),
            lambda step: cell.views.estimator_batch_at(0),
            steps,
            cell.config.estimator,
            num_steps=1000,
            precision="float32",
            world=World(),
        )
    )


def test_training_e_lowers_the_predicted_influence_and_moves_nothing_else(cell):
    weights = {k: v.clone() for k, v in cell.classifier.state_dict().items()}
    s_val = cell.s_val.clone()
    done = fit(cell, range(20), cell.s_val)
    assert done[-1][1]["objective"] < done[0][1]["objective"] < 1
    assert cell.s_val.equal(s_val)
    assert all(v.equal(weights[k]) for k, v in cell.classifier.state_dict().items())


def test_an_s_that_is_not_finite_is_refused_before_anything_moves(cell):
    weights = [p.detach().clone() for p in cell.transform.parameters()]
    with pytest.raises(ValueError, match="estimator: the loss is nan"):
        fit(cell, range(1), cell.s_val * float("nan"))
    after = cell.transform.parameters()
    assert all(a.equal(b) for a, b in zip(after, weights, strict=True))


def test_the_raw_objective_is_the_influence_and_the_relative_one_is_bounded(cell):
    x, y, _ = cell.views.estimator_batch_at(0)
    cell.classifier.eval()
    h = cell.classifier.features(x)
    h1, probs = head_inputs(cell.classifier, x, batch_size=len(x))
    raw = influence_of(
        cell.classifier, cell.s_val, h, y, InfluenceConfig(objective="raw")
    )
    expected = -torch.einsum("by,yd,bd->b", probs - y, cell.s_val, h1)
    torch.testing.assert_close(raw, expected)
    relative = influence_of(cell.classifier, cell.s_val, h, y, InfluenceConfig())
    assert relative.abs().max() <= cell.s_val.norm()


@pytest.mark.parametrize("objective", ["raw", "relative"])
def test_unrestrained_extremes_win_and_restraint_keeps_the_label(cell, objective):
    """Trap 4: what E makes of images is measured by F's own loss on them."""

    def loss_on_views(restraint: float) -> float:
        fresh = Training(
            cell.method, 0, load_splits(CONFIG.data), cell.config, World(), cell.device
        )
        fresh.load(cell.tensors())
        settings = replace(
            cell.config.estimator, learning_rate=1e-2, restraint=restraint
        )
        x, y, draws = fresh.views.estimator_batch_at(0)
        judged_by = replace(cell.config.influence, objective=objective)
        list(
            fit_estimator(
                fresh.transform,
                build_optimizer(fresh.transform, settings),
                InfluenceScores(
                    fresh.classifier.eval(), fresh.s_val, judged_by, "float32"
                ),
                lambda step: (x, y, draws),
                range(60),
                settings,
                num_steps=1000,
                precision="float32",
                world=World(),
            )
        )
        noise = torch.zeros(len(x), fresh.transform.config.tau_size)
        with torch.no_grad():
            logits = fresh.classifier(fresh.transform(x, noise))
        return float(soft_cross_entropy(logits, y).mean())

    assert loss_on_views(restraint=0.0) > loss_on_views(restraint=1.0)
