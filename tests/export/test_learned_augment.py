import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from finished import trained_transform
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.datasets import FakeData
from torchvision.transforms import v2

from infaug.augment.learned import Learned
from infaug.config import EstimatorConfig
from infaug.export import LearnedAugment
from infaug.randomness import RandomNumbers, generator
from infaug.transform.affine_flows import fit_affine


def grey(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(0, "x"))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_equal_draws_give_the_bytes_that_training_saw(
    exported, grey_run, dropout, probability
):
    augment = LearnedAugment.load(exported, probability=probability)
    config = replace(augment.views.config, tau_dropout=dropout)
    augment.views.config = config
    training = augment.card["training"]
    trained = Learned(
        trained_transform(grey_run, training["method"], training["seed"]), config
    )
    trained.probability = probability
    x = grey(8, 1, 16, 16)
    view = augment.view(x, RandomNumbers.of_size(8, "a"), (8,))
    assert view.render(x).equal(trained(x, RandomNumbers.of_size(8, "a")))
    assert not view.render(x).equal(x)


def test_samples_are_drawn_apart_and_the_same_generator_repeats_them(make_augment):
    augment = make_augment()
    same = grey(1, 16, 16).expand(6, 1, 16, 16)
    first, again, other = (
        augment(same, generator=torch.Generator().manual_seed(k)) for k in (1, 1, 2)
    )
    assert len({image.numpy().tobytes() for image in first}) == 6
    assert first.equal(again)
    assert not first.equal(other)


def test_uint8_float_and_pil_show_the_same_view(make_augment):
    augment = make_augment(channels=3)
    pixels = (grey(3, 16, 16) * 255).round().to(torch.uint8)
    pil = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    kinds = {
        "uint8": pixels,
        "float": pixels.float() / 255,
        "half": (pixels.float() / 255).half(),
        "image": tv_tensors.Image(pixels),
        "pil": pil,
    }
    out = {
        name: augment(image, generator=torch.Generator().manual_seed(1))
        for name, image in kinds.items()
    }
    for name, image in kinds.items():
        assert type(out[name]) is type(image) or isinstance(out[name], Image.Image)
    assert out["uint8"].dtype == torch.uint8
    assert out["half"].dtype == torch.float16
    assert out["pil"].mode == "RGB"
    assert out["image"].equal(out["uint8"])
    assert (np.asarray(out["pil"]).transpose(2, 0, 1) == out["uint8"].numpy()).all()
    rounded = out["float"] - out["uint8"].float() / 255
    assert rounded.abs().max() <= 0.5 / 255 + 1e-6


def test_strength_zero_gives_every_pixel_back(make_augment):
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    augment = make_augment(strength=0.0)
    assert augment(pixels).equal(pixels)
    pil = Image.fromarray(pixels[0].numpy())
    assert (np.asarray(augment(pil)) == np.asarray(pil)).all()


def test_probability_is_the_share_that_is_changed(make_augment):
    x = grey(1, 16, 16).expand(400, 1, 16, 16)
    changed = (make_augment(probability=0.25)(x) != x).flatten(1).any(dim=1)
    assert 0.15 < float(changed.float().mean()) < 0.35
    trained = make_augment(estimator=EstimatorConfig(probability=0.0))
    assert trained(x).equal(x)


def test_what_is_no_image_passes_and_nesting_is_kept(make_augment):
    image, label = tv_tensors.Image(grey(1, 16, 16)), torch.tensor([3.0])
    out = make_augment()({"image": image, "rest": (label, "name", 5)})
    assert out["rest"][0] is label
    assert out["rest"][1:] == ("name", 5)
    assert not out["image"].equal(image)
    # Without an explicit image the first plain tensor is one, as in torchvision.
    moved, passed = make_augment()(grey(1, 16, 16), label)
    assert passed is label
    assert moved.shape == (1, 16, 16)


def test_other_sizes_get_the_same_affine_flow(make_augment):
    """Fields are made at the trained size, so only the estimate of tau is resampled."""
    augment = make_augment(pooling="global", size=32)
    small = torch.nn.functional.avg_pool2d(grey(2, 1, 64, 96), 5, 1, 2)
    square = torch.nn.functional.interpolate(
        small, (32, 32), mode="bilinear", antialias=True
    )
    views = [
        augment.view(x, RandomNumbers.of_size(2, "a"), (2,)) for x in (small, square)
    ]
    assert views[0].size == (64, 96)
    torch.testing.assert_close(*(fit_affine(view.flow) for view in views))
    assert augment(small).shape == small.shape


def test_it_is_a_v2_transform_that_composes_and_says_what_it_is(make_augment):
    augment = make_augment()
    assert isinstance(augment, v2.Transform)
    both = v2.Compose([v2.RandomHorizontalFlip(), augment])
    assert both(grey(1, 16, 16)).shape == (1, 16, 16)
    assert "trained_on=1x16x16" in repr(augment)
    assert not next(iter(augment.parameters())).requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("how", ["cast", "autocast"])
def test_a_module_that_is_cast_or_autocast_shows_the_same_view(
    make_augment, dtype, how
):
    def view():
        return augment(x, generator=torch.Generator().manual_seed(1))

    augment, x = make_augment(), grey(4, 1, 16, 16).to(dtype)
    before = view()
    if how == "cast":
        whole = torch.nn.Sequential(augment, torch.nn.Flatten()).to(dtype)
        assert whole(x).dtype == dtype
        assert copy.deepcopy(augment)(x).shape == x.shape
        assert view().equal(before)
    else:
        with torch.autocast("cpu", dtype):
            # The layers that make the fields are rounded.
            torch.testing.assert_close(view(), before, atol=0.05, rtol=0)


COMPILED = """
import torch
from infaug.config import EstimatorConfig, PolicyConfig, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.estimate.policy import Policy
from infaug.export import LearnedAugment
from infaug.export.view import GeneratorViews, PolicyViews

transform = build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0)
x = torch.rand(4, 1, 16, 16)
for views in (GeneratorViews(transform, EstimatorConfig()),
              PolicyViews(Policy(PolicyConfig(), 1))):
    augment = LearnedAugment(views)
    scale = torch.nn.Parameter(torch.ones(()))

    def step(x):
        return (scale * augment(x) - augment(x)).square().sum()

    torch.manual_seed(1)
    plain = step(x)
    torch.manual_seed(1)
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")(x)
    compiled.backward()
    torch.testing.assert_close(compiled, plain)
    assert plain > 0, "both views are drawn apart"
    assert scale.grad is not None
"""


def test_it_is_compiled_without_a_break_and_gives_the_same_views():
    """In a process without the checks of shapes, which compilers do not follow."""
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=240)


class Images(torch.utils.data.Dataset):
    def __init__(self, augment):
        self.augment = augment

    def __len__(self):
        return 8

    def __getitem__(self, at):
        return self.augment(torch.full((1, 16, 16), 0.5))


def test_it_is_pickled_and_workers_of_a_loader_draw_apart(make_augment):
    augment = pickle.loads(pickle.dumps(make_augment(channels=1)))
    batches = []
    for _ in range(2):
        order = torch.Generator().manual_seed(0)
        loader = DataLoader(
            Images(augment), batch_size=4, num_workers=2, generator=order
        )
        batches.append(torch.cat(list(loader)))
    assert batches[0].equal(batches[1])
    assert len({image.numpy().tobytes() for image in batches[0]}) == 8


def test_workers_of_a_loader_may_be_spawned(make_augment):
    transform = v2.Compose([v2.ToImage(), make_augment(channels=3)])
    images = FakeData(4, (3, 16, 16), transform=transform)
    loader = DataLoader(
        images, batch_size=2, num_workers=1, multiprocessing_context="spawn"
    )
    batches = torch.cat([views for views, _ in loader])
    assert batches.shape == (4, 3, 16, 16)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(3, 16, 16), r"1 channel, got 3: put .*Grayscale"),
        (torch.randn(1, 16, 16) * 3, "before Normalize"),
        (torch.zeros(1, 16, 16, dtype=torch.int64), "uint8 or float, got torch.int64"),
        (torch.zeros(16, 16), r"shape \[C, H, W\]"),
        (Image.new("P", (16, 16)), r"mode P .* image.convert\('RGB'\)"),
        (tv_tensors.Mask(torch.zeros(16, 16)), "needs an image"),
    ],
)
def test_what_cannot_be_augmented_is_refused_with_the_remedy(
    image, message, make_augment
):
    with pytest.raises(ValueError, match=message):
        make_augment()(image)


@pytest.mark.parametrize("how", [{"strength": -1.0}, {"probability": 1.5}])
def test_settings_that_cannot_work_are_refused(how, make_augment):
    with pytest.raises(ValueError, match=next(iter(how))):
        make_augment(**how)
