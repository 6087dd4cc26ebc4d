"""What each mixer does; what all promise is in test_contract."""

import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from infaug.augment.base import build_base, build_mixer
from infaug.augment.geometric import RandomAffine
from infaug.augment.mixing import CutMix, MixUp, partners, shares
from infaug.augment.views import Identity, Mixed, make_views
from infaug.randomness import RandomNumbers

MIXERS = [MixUp(0.4), CutMix(1.0)]
NAMES = ["mixup", "cutmix"]


def problem(shape=(1, 16, 16), count=8, dtype=torch.float32):
    rng = torch.Generator().manual_seed(0)
    y = torch.rand(count, 5, generator=rng).softmax(dim=1).to(dtype)
    return torch.rand(count, *shape, generator=rng).to(dtype), y


@pytest.mark.parametrize("mixer", MIXERS, ids=NAMES)
def test_every_image_is_mixed_by_a_share_of_its_own(mixer):
    _, y_mix = mixer(
        torch.rand(64, 1, 16, 16), torch.eye(64), RandomNumbers.of_size(64, "a")
    )
    assert len(y_mix.amax(dim=1).unique()) > 20


@pytest.mark.parametrize("mixer", MIXERS, ids=NAMES)
def test_two_workers_together_mix_labels_as_one_does(mixer):
    x, y = problem(dtype=torch.float64)
    whole = mixer(x, y, RandomNumbers("a", groups=range(2), group_size=4))
    for group in range(2):
        rows = slice(4 * group, 4 * group + 4)
        rng = RandomNumbers("a", groups=range(group, group + 1), group_size=4)
        half = mixer(x[rows], y[rows], rng)
        assert half[0].equal(whole[0][rows])
        assert half[1].equal(whole[1][rows])


def test_partners_are_a_permutation_of_each_group():
    found = partners(RandomNumbers("a", groups=range(3, 5), group_size=6))
    assert found[:6].sort().values.tolist() == list(range(6))
    assert found[6:].sort().values.tolist() == list(range(6, 12))
    assert found.tolist() != list(range(12))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_are_beta_distributed(alpha):
    lam = shares(alpha, RandomNumbers.of_size(2000, "a")).numpy()
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def rolled(mixer, x, y, monkeypatch, lam: float):
    """A mixer with torchvision's partners, the neighbours, and a known share."""
    roll = torch.arange(len(x)).roll(1)
    module = type(mixer).__module__
    monkeypatch.setattr(f"{module}.partners", lambda _: roll)
    monkeypatch.setattr(
        f"{module}.shares", lambda *_: torch.full((len(x),), lam).double()
    )
    return mixer(x, y, RandomNumbers.of_size(len(x), "a"))


def test_mixup_is_torchvision_s_with_the_same_share_and_partners(monkeypatch):
    x, y = problem(dtype=torch.float64)
    ours = rolled(MixUp(1.0), x, y, monkeypatch, 0.3)
    params = {"lam": 0.3, "labels": y, "batch_size": len(x)}
    torch.testing.assert_close(ours[0], v2.MixUp().transform(x, params))
    torch.testing.assert_close(ours[1], v2.MixUp().transform(y, params))


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.9, 1.0])
def test_cutmix_is_torchvision_s_with_the_same_box_and_partners(monkeypatch, lam):
    x, y = problem((3, 16, 12), dtype=torch.float64)
    x_mix, y_mix = rolled(CutMix(1.0), x, y, monkeypatch, lam)
    centre = RandomNumbers.of_size(len(x), "a").fork("centre").uniform(0, 1, 2)
    for i in range(len(x)):
        row, column = (
            int(c * side) for c, side in zip(centre[i], (16, 12), strict=True)
        )
        reach = 0.5 * (1 - lam) ** 0.5
        up, left = int(reach * 16), int(reach * 12)
        box = (max(column - left, 0), max(row - up, 0),
               min(column + left, 12), min(row + up, 16))  # fmt: skip
        area = (box[2] - box[0]) * (box[3] - box[1]) / (16 * 12)
        params = {"box": box, "lam_adjusted": 1 - area, "labels": y, "batch_size": 8}
        assert x_mix[i].equal(v2.CutMix().transform(x, params)[i])
        torch.testing.assert_close(y_mix[i], v2.CutMix().transform(y, params)[i])


def test_the_label_of_cutmix_is_the_area_of_each_image():
    x = torch.arange(6.0).div(8).view(6, 1, 1, 1).expand(6, 1, 16, 16)
    x_mix, y_mix = CutMix(1.0)(x, torch.eye(6), RandomNumbers.of_size(6, "a"))
    for i, image in enumerate(x_mix):
        areas = [(image == value / 8).double().mean() for value in range(6)]
        torch.testing.assert_close(y_mix[i].double(), torch.stack(areas))


def test_a_mixed_view_is_the_augmented_view_mixed_and_has_its_own_label():
    x, y = problem()
    augment, mixer = build_base("affine+mixup:0.4"), build_mixer("affine+mixup:0.4")
    assert isinstance(augment, RandomAffine)
    assert isinstance(mixer, MixUp)
    view, rng = Mixed(augment, mixer), RandomNumbers.of_size(8, "a")
    both = torch.stack([x, x], dim=1)
    views = make_views(both, y, [Identity(), view], rng)
    plain = make_views(both, y, [Identity(), augment], rng)
    assert views.y[:, 0].equal(y)
    assert views.x[:, 0].equal(x)
    mixed = mixer(plain.x[:, 1], y, rng.fork("view", 1).fork("mix"))
    assert views.x[:, 1].equal(mixed[0])
    assert views.y[:, 1].equal(mixed[1])
    assert view(x, rng.fork("view", 1)).equal(views.x[:, 1])


@pytest.mark.parametrize("alpha", ["0", "-1", "inf", "nan"])
def test_an_alpha_that_cannot_be_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be positive and finite"):
        build_mixer(f"affine+mixup:{alpha}")
