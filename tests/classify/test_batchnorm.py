import pytest
import torch
from torch import nn

from infaug.classify.batchnorm import (
    GroupedBatchNorm,
    adapt_statistics,
    convert_batchnorm,
    merge_statistics,
    set_groups,
    take_statistics,
)
from infaug.classify.grouped_norm import group_by_group, grouped_batch_norm


def images(count: int = 12, seed: int = 0) -> torch.Tensor:
    return torch.randn(
        count, 3, 5, 5, generator=torch.Generator().manual_seed(seed)
    ).double()


def test_one_group_is_torchs_batchnorm_in_training_and_evaluation():
    ours, theirs = GroupedBatchNorm(3).double(), nn.BatchNorm2d(3).double()
    for step in range(3):
        x = images(seed=step)
        torch.testing.assert_close(ours(x), theirs(x))
        merge_statistics(ours, take_statistics(ours))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(images()), theirs.eval()(images()))


def test_two_workers_groups_give_the_outputs_of_one_worker():
    whole, half = GroupedBatchNorm(3).double(), GroupedBatchNorm(3).double()
    set_groups(whole, 4)
    set_groups(half, 2)
    x = images(12)
    torch.testing.assert_close(whole(x), torch.cat([half(x[:6]), half(x[6:])]))


def test_running_statistics_move_to_the_mean_over_groups():
    layer = GroupedBatchNorm(3).double()
    set_groups(layer, 2)
    x = images(12)
    layer(x)
    merge_statistics(layer, take_statistics(layer))
    means = torch.stack([g.mean(dim=(0, 2, 3)) for g in x.chunk(2)])
    torch.testing.assert_close(layer.running_mean, 0.1 * means.mean(dim=0))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_outputs_and_gradients_are_those_of_each_group_by_itself(num_groups, layout):
    x = images(12).contiguous(memory_format=layout).requires_grad_()
    layer, alone = GroupedBatchNorm(3).double(), nn.BatchNorm2d(3).double()
    weights = torch.linspace(0.5, 2, 3).double()
    for norm in (layer, alone):
        norm.weight.data.copy_(weights)
    set_groups(layer, num_groups)
    expected = torch.cat([alone(group) for group in x.chunk(num_groups)])
    upstream = images(12, seed=1)
    wanted = torch.autograd.grad(expected, [x, *alone.parameters()], upstream)
    normalised = layer(x)
    torch.testing.assert_close(normalised, expected, rtol=0, atol=1e-10)
    found = torch.autograd.grad(normalised, [x, *layer.parameters()], upstream)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("num_groups", [1, 4])
def test_the_one_operation_of_gpus_is_the_loop_over_groups(num_groups):
    x, upstream = images(12).requires_grad_(), images(12, seed=1)
    weight = torch.linspace(0.5, 2, 3).double().requires_grad_()
    bias = torch.ones(3).double().requires_grad_()
    found = []
    for how in (group_by_group, grouped_batch_norm):
        out, total, *_ = how(x, weight, bias, num_groups, 1e-5)
        grads = torch.autograd.grad(out, [x, weight, bias], upstream)
        found.append((out, total, *grads))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


def test_second_derivatives_go_through_the_groups():
    weight, bias = torch.linspace(0.5, 2, 3).double(), torch.ones(3).double()
    given = [tensor.requires_grad_() for tensor in (images(8), weight, bias)]
    assert torch.autograd.gradgradcheck(
        lambda *given: group_by_group(*given, 2, 1e-5)[0], given
    )


def test_a_group_with_one_value_a_channel_is_refused_with_the_remedy():
    layer = GroupedBatchNorm(3)
    set_groups(layer, 2)
    with pytest.raises(ValueError, match=r"lower --classifier\.batch-groups"):
        layer(torch.ones(2, 3, 1, 1))


def test_conversion_reaches_nested_layers_and_keeps_their_weights():
    model = nn.Sequential(nn.Sequential(nn.BatchNorm2d(3)))
    nn.init.constant_(model[0][0].weight, 2.0)
    convert_batchnorm(model)
    assert isinstance(model[0][0], GroupedBatchNorm)
    assert model[0][0].weight.eq(2).all()


def test_adapted_statistics_are_those_of_the_images_layer_by_layer():
    model = nn.Sequential(GroupedBatchNorm(3), nn.Conv2d(3, 2, 1), GroupedBatchNorm(2))
    x, first, second = 3 + images(count=48).float(), model[0], model[2]
    adapt_statistics(model, x)
    torch.testing.assert_close(first.running_mean, x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(
        first.running_var, x.transpose(0, 1).flatten(1).var(dim=1)
    )
    h = model[1](nn.functional.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(second.running_mean, h.mean(dim=(0, 2, 3)))
    assert first.momentum == second.momentum == 0.1
