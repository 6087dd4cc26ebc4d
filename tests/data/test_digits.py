import pytest

from infaug.data.digits import digits


def test_digits_have_a_black_margin_and_full_range():
    data = digits()
    assert data.images.shape == (1797, 1, 16, 16)
    assert data.num_classes == 10
    assert data.images.max() > 240
    inside = data.images[:, :, 2:14, 2:14].sum()
    assert data.images.sum() == inside > 0


@pytest.mark.parametrize("size", [9, 32])
def test_digits_take_any_size_and_mode(size):
    data = digits(image_size=size, mode="RGB")
    assert data.images.shape == (1797, 3, size, size)
    assert data.images[:, 0].equal(data.images[:, 2])
