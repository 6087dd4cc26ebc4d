"""What every corruption promises, and what each one alone does."""

import corruption_kinds as corruptions
import pytest
import torch
from corruption_kinds import CORRUPTIONS, SEVERITIES, corrupt

from infaug.data.digits import digits
from infaug.randomness import RandomNumbers

DIGITS = digits().images[:300]
COLOUR = DIGITS[:20].repeat(1, 3, 1, 1)
NAMES = list(CORRUPTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_keeps_shape_and_type_and_changes_images(name):
    for images in (DIGITS, COLOUR):
        found = corrupt(images, name, 1, 0)
        assert found.shape == images.shape
        assert found.dtype == torch.uint8
        assert not found.equal(images)


@pytest.mark.parametrize("name", NAMES)
def test_equal_keys_give_equal_corruptions(name):
    assert corrupt(DIGITS, name, 3, 0).equal(corrupt(DIGITS, name, 3, 0))


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "noise" in n or n in ("fog", "rotate", "motion_blur")]
)
def test_what_is_drawn_differs_by_key_and_image(name):
    assert not corrupt(DIGITS, name, 3, 0).equal(corrupt(DIGITS, name, 3, 1))
    same = DIGITS[:1].expand(8, -1, -1, -1)
    assert len(corrupt(same, name, 3, 0).flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_images_are_changed_more_at_every_severity(name):
    far = [
        float((corrupt(DIGITS, name, s, 0).float() - DIGITS).square().mean())
        for s in SEVERITIES
    ]
    assert far == sorted(far)
    assert far[0] < far[-1]


def test_an_unknown_corruption_is_refused():
    for name, severity in (("frost", 1), ("fog", 0)):
        with pytest.raises(ValueError, match="there is no corruption"):
            corrupt(DIGITS, name, severity, 0)


GREY = torch.full((64, 1, 16, 16), 0.5)


def rng(count=64):
    return RandomNumbers.of_size(count, "test")


def test_poisson_counts_have_their_mean_and_variance():
    found = corruptions.shot_noise(GREY * 0.4, 50, rng()) * 50
    assert float(found.mean()) == pytest.approx(10, rel=0.01)
    assert float(found.var()) == pytest.approx(10, rel=0.05)


def test_blur_and_pixelate_keep_the_mean_of_what_is_far_from_the_border():
    x = torch.zeros(2, 1, 32, 32)
    x[:, :, 12:20, 12:20] = 1
    for change, amount in (
        (corruptions.gaussian_blur, 1.0),
        (corruptions.motion_blur, 4.0),
        (corruptions.pixelate, 0.25),
    ):
        found = change(x, amount, rng(2))
        assert float(found.mean()) == pytest.approx(float(x.mean()), rel=1e-2)


def test_contrast_is_about_the_mean_of_each_image():
    x = torch.tensor([[0.2, 0.4], [0.6, 1.0]]).view(2, 1, 1, 2)
    found = corruptions.contrast(x, 0.5, rng(2)).flatten().tolist()
    assert found == pytest.approx([0.25, 0.35, 0.7, 0.9])


def test_a_scaled_square_is_larger_or_smaller_by_the_factor():
    x = torch.zeros(64, 1, 32, 32)
    x[:, :, 11:21, 11:21] = 1
    areas = corruptions.scale(x, 1.5, rng()).sum(dim=(1, 2, 3)) / 100
    assert len(areas.round(decimals=1).unique()) == 2
    assert float(areas.max()) == pytest.approx(2.25, rel=0.05)
    assert float(areas.min()) == pytest.approx(1 / 2.25, rel=0.05)


def test_a_translated_dot_is_as_far_away_as_asked_in_any_direction():
    x = torch.zeros(64, 1, 33, 33)
    x[:, :, 15:18, 15:18] = 1
    found = corruptions.translate(x, 0.2, rng())
    at = torch.arange(33.0) - 16
    mass = found.sum(dim=(1, 2, 3))
    right = (found * at).sum(dim=(1, 2, 3)) / mass
    down = (found * at[:, None]).sum(dim=(1, 2, 3)) / mass
    away = (right**2 + down**2).sqrt()
    torch.testing.assert_close(away, torch.full_like(away, 0.2 * 33), atol=0.05, rtol=0)
    assert right.min() < 0 < right.max()
