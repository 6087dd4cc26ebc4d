"""What every augmentation and mixer promises, and what each augmentation does."""

import pytest
import torch
import torchvision.transforms.v2.functional as TF
from torchvision.transforms import v2

from infaug.augment.base import build_base
from infaug.augment.geometric import (
    Crop,
    CropFlip,
    RandomAffine,
    ResizedCropFlip,
    inverse_affine,
)
from infaug.augment.learned import Learned, RandomTau
from infaug.augment.mixing import CutMix, MixUp
from infaug.augment.policies import (
    SEEDS,
    aug_mix,
    auto_augment,
    color_jitter,
    gaussian_blur,
    rand_augment,
    random_erasing,
    random_flip,
    random_inversion,
    trivial_augment,
)
from infaug.augment.views import Compose, Identity, Mixed, make_views
from infaug.config import EstimatorConfig, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.randomness import RandomNumbers

SHAPES = [(1, 16, 16), (3, 16, 16)]


def augmenters(shape, dtype=torch.float32):
    transform = build_transform(TransformConfig(tau_size=8), *shape, 0).to(dtype)
    learned = Learned(transform, EstimatorConfig(tau_dropout=0.5))
    return {
        "identity": Identity(),
        "affine": RandomAffine(),
        "wide_affine": RandomAffine(degrees=60, strength=1.5),
        "rand_augment": rand_augment(magnitude=9),
        "trivial_augment": trivial_augment(),
        "auto_augment": auto_augment(),
        "aug_mix": aug_mix(),
        "random_erasing": random_erasing(1.0),
        "color_jitter": color_jitter(0.5),
        "gaussian_blur": gaussian_blur(),
        "random_flip": random_flip(),
        "random_inversion": random_inversion(),
        "crop": Crop(),
        "crop_flip": CropFlip(),
        "resized_crop_flip": ResizedCropFlip(),
        "random_tau": RandomTau(transform.generator),
        "learned": learned,
        "composed": Compose(RandomAffine(), learned),
        "mixup": Mixed(Identity(), MixUp(0.4)),
        "cutmix": Mixed(RandomAffine(), CutMix(1.0)),
    }


CASES = [(name, shape) for shape in SHAPES for name in augmenters(shape)]


def images(shape, count=4):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_views_keep_shape_and_range(name, shape):
    view = augmenters(shape)[name](images(shape), RandomNumbers.of_size(4, "a"))
    assert view.shape == (4, *shape)
    assert view.dtype == torch.float32
    assert view.min() >= 0
    assert view.max() <= 1


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_equal_draws_give_equal_views_and_other_draws_others(name, shape):
    augment, x = augmenters(shape)[name], images(shape)
    first, again, other = (augment(x, RandomNumbers.of_size(4, p)) for p in "aab")
    assert first.equal(again)
    assert name == "identity" or not first.equal(other)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_each_image_of_a_batch_is_augmented_on_its_own(name, shape):
    x = images(shape, 1).expand(16, -1, -1, -1)
    if name in ("mixup", "cutmix"):  # Which would find nothing else in equal images.
        x = x * torch.linspace(0, 1, 16).view(-1, 1, 1, 1)
    views = augmenters(shape)[name](x, RandomNumbers.of_size(16, "a"))
    num_different = len(views.flatten(1).unique(dim=0))
    # AutoAugment's magnitudes are fixed, and half of its operations are left out.
    few = {"auto_augment": 4, "random_flip": 2, "random_inversion": 2}
    least = few.get(name, 9)
    assert num_different == 1 if name == "identity" else num_different >= least


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_labels_of_all_views_sum_to_one_and_change_only_where_images_mix(
    name, shape
):
    x, y = images(shape).unsqueeze(1), torch.eye(4)[:, [3, 2, 1, 0]]
    views = make_views(x, y, [augmenters(shape)[name]], RandomNumbers.of_size(4, "a"))
    assert views.y.shape == (4, 1, 4)
    torch.testing.assert_close(views.y.sum(dim=2), torch.ones(4, 1))
    assert views.y[:, 0].equal(y) == (name not in ("mixup", "cutmix"))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_two_workers_together_make_the_views_of_one(name, shape):
    augment, x = augmenters(shape, torch.float64)[name], images(shape).double()
    whole = augment(x, RandomNumbers("a", groups=range(2), group_size=2))
    halves = [
        augment(
            x[2 * g : 2 * g + 2],
            RandomNumbers("a", groups=range(g, g + 1), group_size=2),
        )
        for g in range(2)
    ]
    torch.testing.assert_close(whole, torch.cat(halves), atol=1e-6, rtol=0)


def turned_by_torchvision(x, angle, scale=1.0):
    return TF.affine(
        x, angle=-angle,  # torchvision turns clockwise
        translate=[0, 0], scale=scale, shear=[0.0, 0.0],
        interpolation=TF.InterpolationMode.BILINEAR,
    )  # fmt: skip


@pytest.mark.parametrize("angle", [-20.0, 7.0])
@pytest.mark.parametrize("scale", [0.85, 1.1])
def test_the_affine_map_turns_and_scales_as_torchvision(angle, scale):
    x = images((1, 28, 28), 1).double()
    radians = torch.deg2rad(torch.tensor([angle], dtype=torch.float64))
    source = inverse_affine(radians, 0 * radians, torch.tensor([scale]).double())
    theta = torch.cat([source, torch.zeros(1, 2, 1).double()], dim=-1)
    grid = torch.nn.functional.affine_grid(theta, [1, 1, 28, 28], align_corners=False)
    ours = torch.nn.functional.grid_sample(x, grid, align_corners=False)
    theirs = turned_by_torchvision(x, angle, scale)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(28, 28), (16, 64), (20, 9)])
def test_the_affine_augmentation_turns_images_of_any_shape_as_torchvision(size):
    x = images((1, *size), 3).double()
    views = RandomAffine(degrees=45, strength=0)(x, RandomNumbers.of_size(3, "a"))
    angles = RandomNumbers.of_size(3, "a").uniform(-45, 45)  # what is drawn first
    pairs = zip(x, angles.tolist(), strict=True)
    theirs = [turned_by_torchvision(image, angle) for image, angle in pairs]
    # Angles are drawn in float32.
    torch.testing.assert_close(views, torch.stack(theirs), atol=1e-5, rtol=0)


def test_a_crop_is_a_whole_pixel_shift_and_maybe_a_mirror():
    x = images((3, 32, 32), 1)
    padded = torch.nn.functional.pad(x, (4, 4, 4, 4))[0]
    (view,) = CropFlip()(x, RandomNumbers.of_size(1, "a"))
    candidates = [
        crop
        for i in range(9)
        for j in range(9)
        for crop in [padded[:, i : i + 32, j : j + 32]]
    ]
    assert any(view.equal(c) or view.equal(c.flip(-1)) for c in candidates)


def test_views_stand_side_by_side_with_equal_weights():
    x, y = images((1, 28, 28)), torch.eye(4)
    both = torch.stack([x, x], dim=1)
    views = make_views(
        both, y, [Identity(), RandomAffine()], RandomNumbers.of_size(4, "a")
    )
    assert views.x.shape == (4, 2, 1, 28, 28)
    assert views.x[:, 0].equal(x)
    assert views.y.equal(torch.stack([y, y], dim=1))
    assert views.weights.eq(0.5).all()


def test_the_learned_view_changes_the_configured_share_of_images():
    x = images((1, 16, 16), 400)
    learned = Learned(
        build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0), EstimatorConfig()
    )
    learned.probability = 0.25
    view = learned(x, RandomNumbers.of_size(400, "a"))
    same = (view == x).flatten(1).all(dim=1)
    assert 0.7 < same.float().mean() < 0.8
    learned.probability = 1.0
    whole = learned(x, RandomNumbers.of_size(400, "a"))
    assert view[~same].equal(whole[~same])


def test_a_transform_without_strength_leaves_images_as_they_are():
    x = images((3, 16, 16))
    transform = build_transform(TransformConfig(tau_size=8), 3, 16, 16, 0)
    transform.strength.fill_(0)
    torch.testing.assert_close(
        Learned(transform, EstimatorConfig())(x, RandomNumbers.of_size(4, "a")), x
    )


def test_the_policies_leave_torch_s_own_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    rand_augment()(images((3, 32, 32)), RandomNumbers.of_size(4, "a"))
    assert torch.rand(3).equal(expected)


BILINEAR = v2.InterpolationMode.BILINEAR
SVHN = v2.AutoAugmentPolicy.SVHN


@pytest.mark.parametrize(
    ("base", "theirs"),
    [
        ("autoaugment", v2.AutoAugment(interpolation=BILINEAR)),
        ("autoaugment:svhn", v2.AutoAugment(SVHN, interpolation=BILINEAR)),
        ("randaugment:5", v2.RandAugment(2, 5, interpolation=BILINEAR)),
        ("trivial", v2.TrivialAugmentWide(interpolation=BILINEAR)),
        ("augmix:7", v2.AugMix(severity=7, interpolation=BILINEAR)),
        ("erasing:1", v2.RandomErasing(1.0)),
        ("jitter:0.6", v2.ColorJitter(0.6, 0.6, 0.6, 0.1)),
        ("blur:2", v2.GaussianBlur(9, (0.1, 2.0))),
        ("flip", v2.RandomHorizontalFlip()),
        ("invert:1", v2.RandomInvert(1.0)),
    ],
)
def test_the_policies_are_torchvision_s_under_the_same_seeds(base, theirs):
    x, rng = images((3, 16, 16), 8), RandomNumbers.of_size(8, "a")
    expected = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(x, rng.fork().uniform(0, SEEDS), strict=True):
            torch.manual_seed(int(seed))
            expected.append(theirs((255 * image).round().byte()))
    views = build_base(base)(x, rng.fork())
    assert (255 * views).round().byte().equal(torch.stack(expected))


def test_a_share_of_the_images_loses_a_rectangle_of_at_most_a_third():
    x = torch.ones(200, 1, 16, 16)
    lost = 1 - random_erasing(0.25)(x, RandomNumbers.of_size(200, "a")).mean(
        dim=(1, 2, 3)
    )
    assert 0.15 < (lost > 0).float().mean() < 0.35
    assert lost.max() < 0.36  # sides are whole pixels


def test_a_base_is_parts_with_their_numbers():
    x, rng = images((1, 28, 28)), RandomNumbers.of_size(4, "a")
    assert build_base("affine")(x, rng).equal(RandomAffine()(x, rng.fork()))
    wide = build_base("affine:60x1.5")(x, rng.fork())
    assert wide.equal(RandomAffine(60, 1.5)(x, rng.fork()))
    both = build_base("crop_flip+randaugment:5")(x, rng.fork())
    composed = Compose(CropFlip(), rand_augment(5))(x, rng.fork())
    assert both.equal(composed)


def test_a_magnitude_of_zero_keeps_most_images_almost_as_they_are():
    x = images((3, 32, 32), 64)
    mild, strong = (
        (rand_augment(m)(x, RandomNumbers.of_size(64, "a")) - x)
        .abs()
        .mean((1, 2, 3))
        .median()
        for m in (0, 20)
    )
    assert mild < strong / 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("auto", r"rounds\.base: 'auto' in 'auto' is not an augmentation"),
        ("affine+cutout", "'cutout' in 'affine.cutout' is not an augmentation"),
        ("mixup:0.2+affine", "'mixup' in .* mixes images: put it last"),
        ("mixup+cutmix", "'mixup' in .* mixes images: put it last"),
        ("trivial:3", "'trivial:3'"),
        ("affine:wide", "'affine:wide'.*wide"),
        ("affine:20x9", "strength in 0..5"),
        ("randaugment:31", "magnitude must be one of 0..30"),
        ("autoaugment:mnist", "policy must be one of imagenet, cifar10, svhn"),
        ("augmix:0", "severity must be one of 1..10"),
        ("erasing:2", "probability must lie in 0..1"),
        ("invert:2", "probability must lie in 0..1"),
        ("jitter:2", r"strength must lie in \(0, 1\]"),
        ("blur:0", "sigma must be above 0.1 pixels"),
    ],
)
def test_a_base_augmentation_that_does_not_exist_is_named(name, message):
    with pytest.raises(ValueError, match=message):
        build_base(name)
