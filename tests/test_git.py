"""Generative invariance transfer: its parts, and that fitting it fits."""

from dataclasses import replace

import pytest
import torch
from git_networks import GitConfig, adain, build_networks
from git_transfer import (
    InvarianceTransfer,
    critics_loss,
    fit_transfer,
    generator_losses,
    realism_loss,
)

from infaug.data.digits import digits
from infaug.randomness import RandomNumbers

CONFIG = GitConfig(
    learning_rate=3e-3,
    width=4,
    steps=25,
    batch_size=8,
    blocks=1,
    critics=1,
    threshold=20,
)
DIGITS = digits().images[:200]
X = DIGITS[:6].float() / 255
STYLE = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def fitted():
    """The generator, and what every step said."""
    steps = list(fit_transfer(DIGITS, CONFIG, 0))
    return steps[-1][0].requires_grad_(False), [metrics for _, metrics in steps]


def test_adain_sets_mean_and_deviation_of_every_channel():
    h = 3 + 2 * torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, deviation = torch.randn(2, 5), torch.rand(2, 5) + 0.5
    found = adain(h, mean, deviation)
    torch.testing.assert_close(found.mean(dim=(2, 3)), mean, atol=1e-5, rtol=0)
    spread = found.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(spread, deviation, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (1, 28, 28)])
def test_codes_and_images_have_their_shapes(shape):
    transfer, critics = build_networks(shape, replace(CONFIG, critics=2), 0)
    x = torch.rand(2, *shape)
    content = transfer.content(x)
    assert content.shape == (2, 16, shape[1] // 4, shape[2] // 4)
    assert transfer.style(x).shape == (2, 8)
    made = transfer(x, STYLE[:2])
    assert made.shape == x.shape
    assert 0 <= made.min() < made.max() <= 1
    fine, coarse = critics(x)
    assert fine.shape[1] >= 4 * coarse.shape[1] > 0


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match=r"git\.halvings"):
        build_networks((1, 30, 30), CONFIG, 0)


def test_the_content_of_an_image_has_no_statistics_left_for_a_style_to_be_in():
    transfer, _ = build_networks((1, 16, 16), replace(CONFIG, blocks=1), 0)
    brighter = torch.cat([X, 0.5 * X])
    first, second = transfer.content(brighter).chunk(2)
    torch.testing.assert_close(first, second, atol=1e-2, rtol=1e-2)


def test_critics_are_perfect_at_one_and_zero_and_fooled_at_one():
    one, zero = [torch.ones(2, 9), torch.ones(2, 1)], [torch.zeros(2, 9)] * 2
    assert float(critics_loss(one, zero)) == 0
    assert float(critics_loss(zero, one)) == 4
    assert float(realism_loss(one)) == 0
    assert float(realism_loss(zero)) == 2


def test_no_gradient_of_the_content_loss_goes_to_the_content_it_aims_at():
    transfer, critics = build_networks((1, 16, 16), CONFIG, 0)
    losses = generator_losses(transfer, critics, X, STYLE)
    expected = (
        10 * losses.image + 10 * losses.style + losses.content + losses.realism
    ).detach()
    assert float(losses.total(CONFIG).detach()) == pytest.approx(float(expected))
    aimed_at = transfer.content(X).detach()
    made = transfer.decoder(transfer.content(X), STYLE).detach()
    found = float((transfer.content(made) - aimed_at).abs().mean().detach())
    assert float(losses.content.detach()) == pytest.approx(found, rel=1e-5)


def test_fitting_lowers_the_losses(fitted):
    # Styles are read from images only after hundreds of steps.
    _, said = fitted
    for name in ("image", "content", "critics"):
        early = sum(m[name] for m in said[:5])
        late = sum(m[name] for m in said[-5:])
        assert late < early, name
    late_image = sum(m["image"] for m in said[-5:]) / 5
    assert late_image < 0.9 * sum(m["image"] for m in said[:5]) / 5


def test_equal_seeds_fit_equal_generators_and_others_do_not():
    short = replace(CONFIG, steps=3)
    first, again, other = (
        list(fit_transfer(DIGITS, short, seed))[-1][0].state_dict()
        for seed in (0, 0, 1)
    )
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def test_large_classes_are_left_alone_and_a_portion_of_small_ones_is_transformed(
    fitted,
):
    sizes, y = torch.tensor([21, 20]), torch.tensor([0, 1]).repeat(300)
    x = X[:1].expand(600, -1, -1, -1)
    transfer = InvarianceTransfer(fitted[0], sizes, CONFIG)
    found = transfer(x, y, RandomNumbers.of_size(600, "a"))
    changed = (found != x).flatten(1).any(dim=1)
    assert not changed[y == 0].any()
    assert float(changed[y == 1].float().mean()) == pytest.approx(0.5, abs=0.08)
    assert found.equal(transfer(x, y, RandomNumbers.of_size(600, "a")))
    none = InvarianceTransfer(fitted[0], sizes, replace(CONFIG, portion=0.0))
    assert none(x, y, RandomNumbers.of_size(600, "a")).equal(x)
