import pytest
import torch

from infaug.randomness import RandomNumbers
from infaug.transform.operations import OF_COLOUR, OPERATIONS, apply_operations

GREY = tuple(name for name in OPERATIONS if name not in OF_COLOUR)
TWO_SIDED = (
    "rotate", "move_x", "move_y", "scale", "shear", "contrast", "brightness", "gamma"
)  # fmt: skip


def images(batch: int = 6, channels: int = 3) -> torch.Tensor:
    return torch.rand(batch, channels, 12, 10, generator=torch.manual_seed(0))


def changed(name: str, x: torch.Tensor, strength: float) -> torch.Tensor:
    chosen = torch.zeros(len(x)).long()
    rng = RandomNumbers.of_size(len(x), 0, "test")
    strengths = torch.full((len(x),), strength)
    return apply_operations(x, (name,), chosen, strengths, rng)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("strength", [-1.0, 0.3, 1.0])
def test_every_operation_gives_images_of_the_same_shape_and_range(name, strength):
    x = images()
    x_aug = changed(name, x, strength)
    assert x_aug.shape == x.shape
    assert x_aug.isfinite().all()
    assert x_aug.min() >= 0
    assert x_aug.max() <= 1
    assert x_aug.equal(changed(name, x, strength))


@pytest.mark.parametrize("name", TWO_SIDED)
def test_operations_of_two_directions_are_the_identity_in_between(name):
    torch.testing.assert_close(changed(name, images(), 0.0), images())


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"identity"}))
def test_the_largest_strength_changes_images(name):
    x = images() / 2 + 0.1
    assert (changed(name, x, 1.0) - x).abs().mean() > 0.01


@pytest.mark.parametrize("name", GREY)
def test_an_image_does_not_depend_on_the_others_of_its_batch(name):
    x, strength = images(channels=1), torch.linspace(-1, 1, 6)
    rng = RandomNumbers.of_size(6, 0, "test")
    names = (name, "identity")
    alone = torch.tensor([1, 0, 1, 1, 1, 1])
    together = apply_operations(x, names, 0 * alone, strength, rng)
    one = apply_operations(
        x, names, alone, strength, RandomNumbers.of_size(6, 0, "test")
    )
    torch.testing.assert_close(one[1], together[1])
    assert one[0].equal(x[0])


def test_an_image_turned_by_a_quarter_is_the_image_turned():
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(changed("rotate", x, 1.0), x.rot90(1, (2, 3)))


def test_moving_takes_an_image_to_the_right():
    x = torch.zeros(1, 1, 10, 10)
    x[..., 5, 2] = 1
    assert changed("move_x", x, 1.0)[0, 0].argmax() == 5 * 10 + 5


def test_equalized_images_have_every_brightness_as_often():
    x = torch.rand(2, 1, 10, 10, generator=torch.manual_seed(0)) ** 3
    values = changed("equalize", x, 0.0).flatten(2).sort(dim=2).values
    torch.testing.assert_close(values, torch.linspace(0, 1, 100).expand(2, 1, -1))
