import torch

from infaug.transform.fields import recolour


def test_a_constant_filter_is_a_colour_matrix_and_a_bias():
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    matrix, bias = torch.randn(3, 3).double(), torch.randn(3).double()
    ours = recolour(
        x,
        matrix.flatten()[None, :, None, None].expand(2, -1, 4, 4),
        bias[None, :, None, None].expand(2, -1, 4, 4),
    )
    expected = x + torch.einsum("dc,bchw->bdhw", matrix, x) + bias[:, None, None]
    torch.testing.assert_close(ours, expected)


def test_zero_filter_and_bias_change_nothing():
    x = torch.rand(1, 3, 4, 4)
    assert recolour(x, torch.zeros(1, 9, 4, 4), torch.zeros(1, 3, 4, 4)).equal(x)
