"""BatchNorm whose statistics belong to fixed groups of samples, not to workers.

A batch is cut into groups, as many as the config says. Each group is normalised by its
own statistics, so a sample's output does not depend on how many workers share the
batch. Running statistics are merged from all groups after the step. (SyncBatchNorm
would normalise by the whole batch, but does not run on CPUs.)
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from infaug.classify.grouped_norm import normalise

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class GroupedBatchNorm(nn.Module):
    """Batch normalisation over each of `num_groups` contiguous groups of the batch.

    In training, group g holds rows [g*B/G, (g+1)*B/G) and is normalised by its own
    biased variance; `merge_statistics` then moves the running statistics towards the
    mean over all groups (unbiased variance, as torch.nn.BatchNorm2d). In evaluation
    it equals torch.nn.BatchNorm2d. State keys are those of torch.nn.BatchNorm2d.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, *, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.num_groups = 1
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        # Sums over this process's groups since the last merge, and how many they were.
        self.pending: Float[Tensor, "2 C"] | None = None
        self.num_pending = 0

    def forward(self, x: Float[Tensor, "B C *at"]) -> Float[Tensor, "B C *at"]:
        """Normalised `x`; in training, records the statistics of each group."""
        if not self.training:
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        groups = self.num_groups
        assert x.shape[0] % groups == 0, "groups must be equal"
        if x.numel() == groups * x.shape[1]:
            raise ValueError(
                "a batch group has one value of each channel, which cannot be "
                "normalised: lower --classifier.batch-groups"
            )
        out, total = normalise(x, self.weight, self.bias, groups, self.eps)
        # A batch may come in several parts.
        self.pending = total if self.pending is None else self.pending + total
        self.num_pending += groups
        return out


def convert_batchnorm(model: nn.Module) -> nn.Module:
    """Replace every batch normalisation of `model` by a GroupedBatchNorm.

    A layer that is one with its dropout and activation, as timm's BatchNormAct2d, is
    replaced by the three in turn.

    Raises:
        ValueError: for a kind of batch normalisation that is not known, or one without
            running statistics: what it does in evaluation depends on the batch.
    """
    for name, child in model.named_children():
        if isinstance(child, _BatchNorm):
            setattr(model, name, _grouped(name, child))
        else:
            convert_batchnorm(child)
    return model


def _grouped(name: str, layer: _BatchNorm) -> nn.Module:
    if layer.running_mean is None:
        raise ValueError(
            f"the layer {name!r} has track_running_stats=False: what F says of an "
            "image would depend on the others in its batch; build it with True"
        )
    momentum = 0.1 if layer.momentum is None else layer.momentum
    grouped = GroupedBatchNorm(layer.num_features, momentum=momentum, eps=layer.eps)
    state = {k: v for k, v in layer.state_dict().items() if k in grouped.state_dict()}
    grouped.load_state_dict(state, strict=layer.affine)
    learns = layer.affine and layer.weight.requires_grad
    grouped.requires_grad_(learns)
    if type(layer) in PLAIN:
        return grouped
    drop, act = getattr(layer, "drop", None), getattr(layer, "act", None)
    if isinstance(drop, nn.Module) and isinstance(act, nn.Module):
        return nn.Sequential(grouped, drop, act)
    raise ValueError(
        f"the layer {name!r} is a {type(layer).__name__}, which does more than "
        "torch.nn.BatchNorm2d and is not known to infaug: use that one, or another "
        "normalisation such as GroupNorm"
    )


def _layers(model: nn.Module) -> list[GroupedBatchNorm]:
    return [part for part in model.modules() if isinstance(part, GroupedBatchNorm)]


def _learning(model: nn.Module) -> list[GroupedBatchNorm]:
    """Those in training, which the layers of a frozen body are not."""
    return [layer for layer in _layers(model) if layer.training]


def set_groups(model: nn.Module, num_groups: int) -> None:
    """Say into how many groups this process's part of a batch is cut."""
    for layer in _layers(model):
        layer.num_groups = num_groups


def forget_statistics(model: nn.Module) -> None:
    """Drop what a step recorded that is done again."""
    for layer in _layers(model):
        layer.pending, layer.num_pending = None, 0


def take_statistics(model: nn.Module) -> list[Tensor]:
    """What a step recorded in this process, in one tensor; none if no layer learns.

    The sums over groups of each layer's means and variances, then how many groups they
    were: to be summed over processes and merged.
    """
    layers = _learning(model)
    pending = [m.pending for m in layers if m.pending is not None]
    assert len(pending) == len(layers), "every layer must have seen the batch"
    if not layers:
        return []
    count = torch.full_like(pending[0][:1, 0], layers[0].num_pending)
    for layer in layers:
        layer.pending, layer.num_pending = None, 0
    return [torch.cat([*(total.flatten() for total in pending), count])]


@torch.no_grad()
def merge_statistics(
    model: nn.Module, taken: Sequence[Tensor], passed: Bool[Tensor, ""] | None = None
) -> None:
    """Move running statistics towards the mean over groups, those of all processes.

    They stay where the step was refused: where `passed` is false. `taken` is that of
    `take_statistics`, summed over processes.
    """
    if not taken:
        return
    layers, (flat,) = _learning(model), taken
    # All layers in a few operations, however many there are.
    sizes = [layer.running_mean.numel() for layer in layers for _ in range(2)]
    running = [part for m in layers for part in (m.running_mean, m.running_var)]
    mean = flat[:-1] / flat[-1]
    if passed is not None:
        mean = torch.where(passed, mean, torch.cat(running))
    means = mean.split(sizes)
    rates = [layer.momentum for layer in layers for _ in range(2)]
    for rate in set(rates):
        chosen = [i for i, own in enumerate(rates) if own == rate]
        torch.ops.aten._foreach_lerp_(
            [running[i] for i in chosen], [means[i] for i in chosen], rate
        )
    torch.ops.aten._foreach_add_([m.num_batches_tracked for m in layers], 1)


@torch.no_grad()
def adapt_statistics(model: nn.Module, x: Float[Tensor, "B C H W"]) -> None:
    """Running statistics become those of `x`, images of where F will be used.

    Layer by layer, each seeing what the layers before it make of `x` by its own
    statistics: AdaBN (Li et al., 2017). Layers of a frozen body keep theirs; the model
    is left in training mode.
    """
    layers = _layers(model)
    momenta = [layer.momentum for layer in layers]
    model.train()
    set_groups(model, 1)
    for layer in layers:
        layer.momentum = 1.0
    model(x)
    merge_statistics(model, take_statistics(model))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
