import pytest
import torch

from infaug.influence.validate import Validation, agreement, validate


@pytest.fixture(scope="module")
def validation(digits, picked, x_aug) -> Validation:
    """50 digits turned and moved, one at a time, the head refitted each time."""
    return validate(
        digits.h1(digits.x),
        digits.y,
        digits.h1(x_aug),
        picked,
        digits.h1(digits.x_val),
        digits.y_val,
        damping=1e-2,
    )


def test_influence_predicts_what_refitting_shows(validation: Validation):
    v = validation
    print(
        f"Pearson {v.pearson:.5f}, Spearman {v.spearman:.5f}, slope {v.slope:.4f}, "
        f"signs {v.sign_agreement:.3f} of {len(v.predicted)}"
    )
    assert v.pearson >= 0.99
    assert v.spearman >= 0.98
    assert abs(v.slope - 1) <= 0.05
    assert v.sign_agreement == 1


def test_negative_influence_lowers_validation_loss(validation: Validation):
    most_helpful = validation.predicted.argmin()
    most_harmful = validation.predicted.argmax()
    assert validation.predicted[most_helpful] < 0 < validation.predicted[most_harmful]
    assert validation.actual[most_helpful] < 0 < validation.actual[most_harmful]


def test_soft_labels_are_predicted_as_well(digits, picked, x_aug):
    v = validate(
        digits.h1(digits.x),
        0.9 * digits.y + 0.01,
        digits.h1(x_aug[:10]),
        picked[:10],
        digits.h1(digits.x_val),
        digits.y_val,
        damping=1e-2,
    )
    assert v.pearson >= 0.99


def test_signs_are_counted_only_where_the_prediction_is_clear():
    predicted = torch.tensor([1.0, -1.0, 0.01])
    actual = torch.tensor([1.0, 1.0, -0.01])
    assert agreement(predicted, actual).sign_agreement == 0.5
