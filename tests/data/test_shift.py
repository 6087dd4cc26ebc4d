import pytest
import torch

from infaug.config import ShiftConfig
from infaug.data.shift import apply_shift


def dot(row, column):
    images = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    images[0, 0, row, column] = 255
    return images


def test_no_shift_returns_the_input():
    images = dot(1, 2)
    assert apply_shift(images, ShiftConfig()) is images


def test_positive_rotation_is_counter_clockwise():
    right_of_centre, above_centre = dot(4, 7), dot(1, 4)
    turned = apply_shift(right_of_centre, ShiftConfig(rotate_deg=90.0))
    assert turned.equal(above_centre)


def test_translation_is_to_the_right_and_downwards():
    moved = apply_shift(dot(4, 4), ShiftConfig(translate_px=2.0))
    assert moved.equal(dot(6, 6))


def test_translation_by_half_a_pixel_is_bilinear():
    moved = apply_shift(dot(4, 4), ShiftConfig(translate_px=0.5))
    assert moved[0, 0, 4:6, 4:6].tolist() == [[64, 64], [64, 64]]


def test_outside_is_black():
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    moved = apply_shift(white, ShiftConfig(translate_px=3.0))
    assert moved[:, :, :3].max() == moved[:, :, :, :3].max() == 0
    assert moved[:, :, 3:, 3:].min() == 255


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"contrast": 0.5}, [64, 128, 191]),
        ({"contrast": 2.0}, [0, 129, 255]),
        ({"brightness": 0.2}, [51, 179, 255]),
        ({"contrast": 0.5, "brightness": 0.2}, [115, 179, 242]),
    ],
)
def test_contrast_is_about_mid_grey_then_brightness_is_added(settings, expected):
    values = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    assert apply_shift(values, ShiftConfig(**settings)).flatten().tolist() == expected


def test_many_images_are_shifted_as_each_alone():
    images = torch.randint(
        256, (600, 1, 4, 4), generator=torch.Generator().manual_seed(0)
    ).to(torch.uint8)
    shift = ShiftConfig(rotate_deg=20.0, contrast=1.5)
    assert apply_shift(images, shift)[599:].equal(apply_shift(images[599:], shift))
