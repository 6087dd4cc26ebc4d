from dataclasses import replace

import pytest
import torch
from resolved import training_of
from tiny import CONFIG

from infaug.config import BackoffConfig, ShiftConfig
from infaug.data.problem import load_splits
from infaug.training.alternation import classify
from infaug.training.review import (
    Health,
    harm_of_view,
    mean_and_error,
    review,
    suspicion,
    weaken,
)
from infaug.training.state import Training

HEALTHY = Health(
    saturation=0.1,
    field_saturation=0.2,
    accuracy=0.9,
    accuracy_aug=0.8,
    loss_aug=1.0,
    field_square=0.3,
)


@pytest.fixture(scope="module")
def splits():
    """Digits used as they are trained on: there, a destroyed view can only harm."""
    return load_splits(replace(CONFIG.data, target=200, shift=ShiftConfig()))


def fresh(splits, **backoff) -> Training:
    rounds = replace(CONFIG.rounds, rounds=3, classifier_steps=60)
    config = replace(CONFIG, rounds=rounds, backoff=BackoffConfig(**backoff))
    return training_of("learned", splits, config)


@pytest.fixture(scope="module")
def tensors(splits) -> dict[str, torch.Tensor]:
    """Of a training whose F has learned for a round."""
    training = fresh(splits)
    list(classify(training, 0, range(60), splits.selection))
    return training.tensors()


@pytest.fixture
def trained(splits, tensors):
    """Such a training, by its settings of backoff."""

    def trained(**backoff) -> Training:
        training = fresh(splits, **backoff)
        training.load({name: tensor.clone() for name, tensor in tensors.items()})
        return training

    return trained


def negate(training: Training) -> None:
    """Make G turn every image into its negative: x + (-2 x + 1)."""
    config = replace(training.transform.config, filter_strength=2.0, bias_strength=1.0)
    training.transform.generator.config = config
    out = training.transform.generator.out
    with torch.no_grad():
        out.weight.zero_()
        out.bias.zero_()
        out.bias[-2], out.bias[-1] = -20.0, 20.0


def test_collapse_is_suspected_of_lost_labels_and_of_saturation_alone():
    config = BackoffConfig()
    assert suspicion(HEALTHY, config) == ""
    assert "x_aug" in suspicion(replace(HEALTHY, accuracy_aug=0.3), config)
    assert "bounds" in suspicion(replace(HEALTHY, saturation=0.9), config)
    assert "fields" in suspicion(replace(HEALTHY, field_saturation=0.9), config)
    off = BackoffConfig(least_accuracy=0, most_saturation=1)
    assert suspicion(replace(HEALTHY, accuracy_aug=0.0, saturation=1.0), off) == ""


def test_a_view_harms_less_where_images_look_like_it(trained, splits):
    training = trained()
    negate(training)
    negatives = replace(splits.selection, images=255 - splits.selection.images)
    alike = mean_and_error(harm_of_view(training, 1, negatives))
    unlike = mean_and_error(harm_of_view(training, 1, splits.selection))
    assert alike[0] < -2 * alike[1], "training on negatives helps on negatives"
    assert unlike[0] > alike[0] + 2 * (alike[1] + unlike[1])


def test_a_suspect_is_weakened_where_selection_images_clearly_suffer(
    trained, splits, monkeypatch
):
    training = trained()
    negate(training)
    suffering = torch.tensor([0.3, 0.4, 0.2, 0.1])
    monkeypatch.setattr("infaug.training.review.harm_of_view", lambda *_: suffering)
    (found,) = review(training, 0, range(1), splits.selection)
    assert found["suspected"]
    assert found["harm"] == pytest.approx(0.25)
    assert training.strength == found["strength"] == 0.5


@pytest.mark.parametrize("harm", [[0.0, 0.0], [-0.3, -0.1], [-0.3, 0.4, -0.2, 0.3]])
def test_a_suspect_that_the_selection_images_clear_is_left_alone_for_a_while(
    trained, splits, monkeypatch, harm
):
    """Harm is given here: measured, rounding alone moves it by a standard error."""
    training = trained(patience_rounds=1)
    negate(training)
    monkeypatch.setattr(
        "infaug.training.review.harm_of_view", lambda *_: torch.tensor(harm)
    )
    (found,) = review(training, 0, range(1), splits.selection)
    assert found["suspected"]
    assert training.strength == found["strength"] == 1.0
    (found,) = review(training, 1, range(1), splits.selection)
    assert "suspected" not in found, "cleared for one round"
    (found,) = review(training, 2, range(1), splits.selection)
    assert found["suspected"], "requested about again after that round"


def test_a_view_that_is_the_identity_does_no_harm_at_all(trained, splits):
    training = trained()
    training.transform.strength.zero_()
    assert harm_of_view(training, 1, splits.selection).eq(0).all()


def test_the_counterfactual_leaves_the_training_as_it_was(trained, splits):
    training = trained()
    before = {k: v.clone() for k, v in training.tensors().items()}
    harm_of_view(training, 1, splits.selection)
    after = training.tensors()
    assert all(after[k].equal(v) for k, v in before.items())


def test_after_its_attempts_the_view_is_given_up(trained, splits):
    training = trained(attempts=2)
    strengths = []
    for _ in range(3):
        weaken(training)
        strengths.append(training.strength)
    assert strengths == [0.5, 0.25, 0.0]
