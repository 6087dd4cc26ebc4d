"""Networks and optimizers as tensors by name, for a checkpoint."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

State = dict[str, Tensor]


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    """The same tensors, their names beginning with `prefix/`.

    >>> list(under("a", {"b": Tensor()}))
    ['a/b']
    """
    return {f"{prefix}/{name}": tensor for name, tensor in state.items()}


def below(prefix: str, state: Mapping[str, Tensor]) -> State:
    """What `under` put into `state`, by the names it had.

    >>> list(below("a", {"a/b": Tensor(), "ab/c": Tensor()}))
    ['b']
    """
    start = prefix + "/"
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def learning_state(name: str, network: nn.Module, optimizer: Optimizer) -> State:
    """A network and the moments of the optimizer that moves it."""
    state = under(name, network.state_dict())
    for index, moments in optimizer.state_dict()["state"].items():
        state |= under(f"{name}_optimizer/{index}", moments)
    return state


def load_learning_state(
    name: str, network: nn.Module, optimizer: Optimizer, state: Mapping[str, Tensor]
) -> None:
    """Continue from what `learning_state` returned; `state` is not changed by it."""
    network.load_state_dict(below(name, state))
    moments: dict[int, State] = {}
    for path, tensor in below(f"{name}_optimizer", state).items():
        index, _, moment = path.partition("/")
        # The optimizer would go on to change the caller's tensors in place.
        moments.setdefault(int(index), {})[moment] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


@torch.no_grad()
def take_average(average: nn.Module, network: nn.Module, kept: float) -> None:
    """Move a network of the same kind: average = kept * average + (1 - kept) * network.

    So do running statistics; counters are copied.
    """
    old, new = average.state_dict(), network.state_dict()
    moves = [name for name, tensor in old.items() if tensor.is_floating_point()]
    torch.ops.aten._foreach_lerp_(
        [old[name] for name in moves], [new[name] for name in moves], 1 - kept
    )
    for name in old.keys() - set(moves):
        old[name].copy_(new[name])


def fill(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, remedy: str
) -> None:
    """Give a module these weights, which `path` holds.

    Raises:
        ValueError: if their names, shapes or types are not the module's.
    """
    expected = module.state_dict()
    if lacking := sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"{path} lacks the tensor {lacking[0]!r}: {remedy}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise ValueError(f"{path} has an unknown tensor {unknown[0]!r}: {remedy}")
    for name, tensor in tensors.items():
        wanted = expected[name]
        if (tensor.shape, tensor.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(
                f"{path}: {name} is {_describe(tensor)}, and {_describe(wanted)} by "
                f"the settings beside it: {remedy}"
            )
    module.load_state_dict(tensors, assign=True)


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
