"""Whatever a row mixes or however many views it has, its influences are of one view."""

from dataclasses import replace

import pytest
from resolved import training_of
from tiny import CONFIG, tiny

from infaug.data.problem import load_splits
from infaug.trust.predictions import check_predictions
from infaug.trust.rank import ranked_view
from infaug.trust.reload import Finished


def untrained(row: str, num_views: int) -> Finished:
    """A training whose F, E and G are as its seed made them: the same in every row."""
    classifier = replace(CONFIG.classifier, views=num_views)
    splits = load_splits(CONFIG.data)
    training = training_of(row, splits, tiny(classifier=classifier))
    training.classifier.eval().requires_grad_(False)
    return Finished(training, splits, splits.trained_on(False)[0])


@pytest.mark.parametrize(
    ("row", "num_views", "alike"),
    [
        ("mixup", 2, "base"),
        ("mixup_learned", 2, "base_learned"),
        ("base_learned", 3, "base_learned"),
        ("mmel_soft", 2, "base"),
    ],
)
def test_an_image_is_judged_by_its_own_view_through_e_if_there_is_one(
    row, num_views, alike
):
    found, expected = untrained(row, num_views), untrained(alike, 2)
    for image in (0, 7):
        shown, wanted = (
            ranked_view(each, image, 0, None)[1] for each in (found, expected)
        )
        assert shown.equal(wanted)
    ours, theirs = (
        check_predictions(each, num_samples=3).refitted for each in (found, expected)
    )
    assert ours.predicted.equal(theirs.predicted)
