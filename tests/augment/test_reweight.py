"""Weights by influence, against the meta-gradient in the weights themselves."""

from dataclasses import replace
from pathlib import Path

import pytest
import reference
import torch
from cases import CASES, Case
from resolved import resolved, training_of
from tiny import CONFIG

from infaug.augment.reweight import helpful_shares, reweigh
from infaug.config import BackoffConfig
from infaug.experiment.run import run
from infaug.experiment.verdict import Verdict
from infaug.influence.score import upweight_influence
from infaug.report.verdict import describe
from infaug.training import review
from infaug.training.alternation import classify, refresh
from infaug.training.methods import METHODS
from infaug.training.refresher import build_refresher
from infaug.training.train import TrainingSpec
from infaug.types import Views


@pytest.mark.parametrize("case", CASES, ids=str)
def test_with_the_identity_for_h_the_weights_are_those_of_ren_et_al(case: Case):
    """w = max(0, -d L_val(theta - rate sum_i e_i grad l_i) / de at e = 0), in the head.

    Their weights sum to one; ours have mean one.
    """
    epsilon = torch.zeros(case.num_train, dtype=torch.float64, requires_grad=True)
    gradients = reference.sample_gradients(case.head, case.h1, case.y)
    moved = case.head - 0.1 * torch.einsum("n,nyd->yd", epsilon, gradients)
    loss = reference.loss(moved, case.h1_val, case.y_val)
    w = (-torch.autograd.grad(loss, epsilon)[0]).clamp_min(0)
    expected = case.num_train * w / w.sum() if w.sum() > 0 else torch.ones_like(w)
    influence = upweight_influence(case.grad_val, case.probs, case.y, case.h1)
    found = helpful_shares(influence[:, None], case.num_train)[:, 0]
    torch.testing.assert_close(found, expected)


def test_groups_do_not_look_at_each_other_and_keep_their_mean():
    influence = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    whole = helpful_shares(influence, 4)
    assert whole[4:8].equal(helpful_shares(influence[4:8], 4))
    torch.testing.assert_close(whole.unflatten(0, (3, 4)).mean((1, 2)), torch.ones(3))
    assert whole[influence > 0].eq(0).all()


def test_each_view_weighs_by_itself_and_by_its_own_label():
    x, y = torch.rand(4, 2, 1, 2, 2), torch.rand(4, 2, 3)
    views = Views(x, y, torch.full((4, 2), 0.5))

    def judge(x, y):
        return -x.mean((1, 2, 3)) - y[:, 0]

    scores = x.mean((2, 3, 4)) + y[:, :, 0]
    expected = 0.5 * scores / scores.mean()
    torch.testing.assert_close(reweigh(views, judge, 4).weights, expected)


def test_the_method_is_base_until_there_is_an_s_and_then_weighs_by_raw_influence(
    splits,
):
    training, base = training_of("reweighted", splits), training_of("base", splits)
    assert training.views_at(1).weights.equal(base.views_at(1).weights)
    list(classify(training, 0, range(6), splits.selection))
    list(
        refresh(
            training, 0, range(1), build_refresher(training, splits.influence, None)
        )
    )
    views = training.views_at(7)
    assert views.x.equal(base.views_at(7).x)
    with torch.no_grad():
        x, y = views.x.flatten(0, 1), views.y.flatten(0, 1)
        h = training.classifier.eval().features(x)
        probs = training.classifier.head(h).softmax(dim=1)
        h1 = torch.cat([h, torch.ones(len(h), 1)], dim=1)
        raw = upweight_influence(training.s_val, probs, y, h1).view(8, 2)
    torch.testing.assert_close(views.weights, 0.5 * helpful_shares(raw, 4))
    assert views.weights.unique().numel() > 2


def test_s_val_is_refreshed_each_round_but_the_last_and_nothing_else_is_learned():
    once = replace(CONFIG, rounds=replace(CONFIG.rounds, s_val="once"))
    for config in (CONFIG, once):
        method = METHODS["reweighted"]
        planned = TrainingSpec(method=method, seed=0, config=resolved(config))
        assert planned.steps == {"classify": 12, "refresh": 1}


def test_a_view_learned_by_looking_ahead_can_be_given_up_too(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(review, "suspicion", lambda *_: "asked for")
    monkeypatch.setattr(review, "harm_of_view", lambda *_: 1 + torch.rand(9) / 9)
    config = replace(
        CONFIG,
        methods=("bilevel_learned",),
        rounds=replace(CONFIG.rounds, rounds=3),
        backoff=BackoffConfig(attempts=0),
    )
    result = run(config, tmp_path / "run", shown=False)
    assert describe(Verdict.from_dict(result["verdict"])).startswith(
        "undecided: keep the base augmentation"
    )
