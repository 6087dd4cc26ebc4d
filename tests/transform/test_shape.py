import pytest
import torch

from infaug.estimate.learned_transform import Estimator
from infaug.transform.critics import FlowCritic, ImageCritic
from infaug.transform.layers import layer_table


def test_e_and_critics_have_eight_layers_at_224():
    estimator = Estimator(128, 3, 224, 224)
    layers = [estimator.first, *estimator.down]
    assert [m.out_channels for m in layers] == [16, 16, 32, 32, 64, 64, 128]
    assert [m.kernel_size[0] for m in layers] == [7, 4, 4, 4, 4, 4, 4]
    assert [m.stride[0] for m in layers] == [1, 2, 2, 2, 2, 2, 2]
    assert estimator.linear.in_features == 4 * 4 * 128
    assert ImageCritic(3, 224, 224).linear.in_features == 4 * 4 * 128


@pytest.mark.parametrize("size", [(224, 224), (65, 90)])
def test_large_images_of_any_size_pass(size):
    x = torch.rand(1, 3, *size)
    assert Estimator(8, 3, *size)(x).shape == (1, 8)
    assert ImageCritic(3, *size)(x).shape == (1,)
    assert FlowCritic(*size)(torch.rand(1, *size, 2)).shape == (1,)


def test_64_px_and_below_keep_the_appendix_rule():
    assert layer_table(64, 64).widths == (16, 32, 64, 128, 128)
    assert layer_table(64, 64).sizes[-1] == (4, 4)
    assert layer_table(64, 64).first_kernel == 4
    assert layer_table(64, 64).of_fields == layer_table(64, 64)
