import pytest
import torch
from torch.nn import functional as F

from infaug.config import TransformConfig
from infaug.randomness import RandomNumbers
from infaug.transform.fields import num_field_channels
from infaug.transform.generator import Generator, pool
from infaug.transform.spatial import flow_of, pixel_grid, stretch


def built(channels=1, height=28, width=28, **settings) -> Generator:
    torch.manual_seed(0)
    generator = Generator(
        TransformConfig(tau_size=16, **settings), channels, height, width
    )
    generator.calibrate(random_tau(256), generator.config.initial_spread)
    return generator


def random_tau(count: int) -> torch.Tensor:
    return RandomNumbers.of_size(count, "tau").uniform(-1, 1, 16)


def test_layers_are_the_papers_tables():
    def table(generator: Generator) -> list[tuple[int, ...]]:
        layers = [*generator.up, generator.out]
        return [
            (m.in_channels, m.out_channels, *m.kernel_size, *m.stride) for m in layers
        ]

    grey = Generator(TransformConfig(), 1, 28, 28)
    assert grey.linear.out_features == 3136
    assert table(grey) == [
        (64, 32, 4, 4, 2, 2),
        (32, 16, 4, 4, 2, 2),
        (16, 8, 4, 4, 1, 1),
    ]
    colour = Generator(TransformConfig(), 3, 32, 32)
    assert colour.linear.out_features == 2048
    assert table(colour)[0] == (128, 64, 4, 4, 2, 2)
    assert table(colour)[-1] == (16, 18, 4, 4, 1, 1)


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (32, 32), (33, 47), (5, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_fields_have_the_size_of_the_image(channels, size):
    fields = built(channels, *size)(random_tau(2))
    parts = (fields.matrix, fields.offset, fields.filter, fields.bias)
    assert [p.shape[1] for p in parts] == [4, 2, channels**2, channels]
    assert sum(p.shape[1] for p in parts) == num_field_channels(channels)
    assert all(p.shape[2:] == size for p in parts)


@pytest.mark.parametrize("pooling", ["local", "global", "both"])
def test_fields_never_exceed_their_strength(pooling):
    generator = built(pooling=pooling, matrix_strength=0.4, bias_strength=0.1)
    fields = generator(100 * random_tau(8))
    assert fields.matrix.abs().max() <= 0.4
    assert fields.bias.abs().max() <= 0.1


@pytest.mark.parametrize("pooling", ["local", "global", "both"])
def test_random_tau_spreads_the_fields_as_configured(pooling):
    generator = built(
        pooling=pooling, initial_spread=0.5, matrix_strength=1.0, flow_bound=None
    )
    before_tanh = torch.atanh(generator(random_tau(256)).matrix)
    spread = (before_tanh - before_tanh.mean(dim=0)).square().mean(dim=(0, 2, 3)).sqrt()
    torch.testing.assert_close(spread, torch.full((4,), 0.5), rtol=1e-3, atol=0)


@pytest.mark.parametrize("pooling", ["local", "global", "both"])
def test_a_bounded_flow_never_folds_and_one_within_the_bound_is_left_alone(pooling):
    wild = {"pooling": pooling, "initial_spread": 5.0, "matrix_strength": 1.0}
    free, bounded = built(**wild, flow_bound=None), built(**wild, flow_bound=0.9)
    tau = random_tau(64)
    flows = [flow_of(f.matrix, f.offset) for f in (free(tau), bounded(tau))]
    before, after = (stretch(flow - pixel_grid(28, 28, flow)) for flow in flows)
    assert before.max() > 1, "the free one folds"
    torch.testing.assert_close(after, before.clamp(max=0.9))


def test_the_bound_has_a_gradient_at_the_identity():
    generator = built(flow_bound=0.9)
    unbounded = torch.zeros(1, 8, 28, 28, requires_grad=True)
    generator.bound(unbounded).matrix.sum().backward()
    assert unbounded.grad.isfinite().all()
    assert unbounded.grad.abs().max() > 0


def drift_of_one_step(generator: Generator, rate: float = 1e-4) -> float:
    """How far one step of Adam can at most move the mean of a field, before tanh."""
    generator.zero_grad()
    generator.unbounded(random_tau(256))[:, 0].mean().backward()
    gradients = [p.grad for p in generator.parameters() if p.grad is not None]
    return rate * float(sum(g.abs().sum() for g in gradients))


@pytest.mark.parametrize("pooling", ["local", "global"])
def test_conditioning_gives_the_fields_moments_and_tames_a_step_of_adam(pooling):
    generator = built(pooling=pooling)
    wild = drift_of_one_step(generator)
    root = torch.randn(8, 8, generator=torch.Generator().manual_seed(0)).double()
    covariance = 0.01 * root @ root.T
    generator.condition(random_tau(256), covariance)
    assert drift_of_one_step(generator) < wild / 3
    fields = generator.unbounded(random_tau(256)).detach().double()
    fields = fields.transpose(0, 1).flatten(1)
    torch.testing.assert_close(fields.cov(), covariance, rtol=1e-3, atol=1e-4)
    assert fields.mean(dim=1).abs().max() < 1e-4


@pytest.mark.parametrize("size", [(224, 224), (96, 128)])
def test_large_images_have_fields_made_small_and_upsampled(size):
    generator = Generator(TransformConfig(tau_size=16, pooling="both"), 3, *size)
    assert generator(random_tau(1)).matrix.shape == (1, 4, *size)
    made = generator.pooled(random_tau(1))
    assert max(made.shape[2:]) <= 64
    assert generator.table.sizes[-1][1] == 4
    if size == (224, 224):
        assert made.shape[2:] == (56, 56)
        assert [m.in_channels for m in generator.up] == [128, 64, 64, 32]
        assert (generator.out.in_channels, *generator.out.kernel_size) == (32, 7, 7)


def test_local_pooling_is_torchs_average_pool_with_the_border_left_out():
    fields = torch.randn(2, 8, 28, 28, dtype=torch.float64)
    expected = F.avg_pool2d(fields, 9, 1, 4, count_include_pad=False)
    torch.testing.assert_close(pool(fields, "local"), expected)
