"""A body in two parts: what stays as it is, and the last layers, which learn.

The cut is found in the graph of the body as torch.fx traces it, so it needs no table of
networks: after any operation through whose one result everything later goes.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

MIN_SHARE = 0.9  # of the body's parameters, in the part that learns


class _Tracer(fx.Tracer):
    """Looks into a module only for the modules that it is made of."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one operation of the graph."""
        is_torchs = super().is_leaf_module(m, module_qualified_name)
        return is_torchs or not list(m.children())


def cut(body: nn.Module, size: int) -> tuple[nn.Module, nn.Module]:
    """The first part of a body and its last, which share the body's tensors.

    `last(first(x))` is `body(x)` as it is in evaluation mode, without dropout. The last
    part has at least `MIN_SHARE` of the parameters, and the cut is where the least lies
    between the two for an image of `size`: of convolutional networks some two stages
    learn, of a transformer most blocks.

    Raises:
        ValueError: if the body cannot be traced, or is nowhere to be cut.
    """
    was_training = body.training
    try:
        graph = _Tracer().trace(body.eval(), _defaults(body))
        sizes = _sizes(body, graph, size)
    except Exception as error:  # fx has many for code that it cannot follow
        raise ValueError(
            f"classifier.freeze: this network cannot be cut ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}): use --freeze body or none"
        ) from error
    finally:
        body.train(was_training)
    total = sum(p.numel() for p in body.parameters())
    after = _parameters_after(body, graph)
    found = [
        node
        for node in reversed(list(_bridges(graph)))
        if after[node] >= MIN_SHARE * total and node in sizes
    ]
    if found:
        return _parts(body, graph, min(found, key=sizes.__getitem__))
    raise ValueError(
        "classifier.freeze: this network has no place to be cut, since what its early "
        "layers make is used by the last ones too: use --freeze body or none"
    )


class _Sizes(fx.Interpreter):
    """Runs a graph and keeps how large each result is."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.found: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The result of one operation."""
        made = super().run_node(n)
        if isinstance(made, Tensor):
            self.found[n] = made.numel()
        return made


@torch.no_grad()
def _sizes(body: nn.Module, graph: fx.Graph, size: int) -> dict[fx.Node, int]:
    """How many numbers each operation makes of an image; the body runs."""
    sizes = _Sizes(fx.GraphModule(body, graph))
    weight = next(body.parameters())
    sizes.run(torch.zeros(1, 3, size, size, device=weight.device, dtype=weight.dtype))
    return sizes.found


def _parameters_after(body: nn.Module, graph: fx.Graph) -> dict[fx.Node, int]:
    """How many parameters the operations after each one have."""
    named, seen, after = dict(body.named_parameters()), dict[int, int](), {}
    for node in reversed(graph.nodes):
        after[node] = sum(seen.values())
        if node.op in ("call_module", "get_attr"):
            name = str(node.target)
            seen |= {
                id(p): p.numel()
                for k, p in named.items()
                if k == name or k.startswith(f"{name}.")
            }
    return after


def _defaults(body: nn.Module) -> dict[str, Any]:
    """What a body is called with beside the images."""
    more = list(inspect.signature(body.forward).parameters.values())[1:]
    empty = inspect.Parameter.empty
    return {each.name: each.default for each in more if each.default is not empty}


def _bridges(graph: fx.Graph) -> Iterator[fx.Node]:
    """Operations through whose result alone everything later goes."""
    position = {node: k for k, node in enumerate(graph.nodes)}
    reach = 0  # the last user of anything so far
    for node in graph.nodes:
        if node.op == "output":
            return
        is_bridge = node.op.startswith("call") and reach <= position[node]
        reach = max(reach, *(position[user] for user in node.users), 0)
        if is_bridge:
            yield node


def _parts(
    body: nn.Module, graph: fx.Graph, node: fx.Node
) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Graphs up to the result of `node`, and from there on."""
    first, last = fx.Graph(), fx.Graph()
    known: dict[fx.Node, fx.Node] = {}
    nodes = list(graph.nodes)
    split = nodes.index(node) + 1
    for each in nodes[:split]:
        known[each] = first.node_copy(each, known.__getitem__)
    first.output(known[node])
    known = {node: last.placeholder("h")}
    for each in nodes[split:]:
        known[each] = last.node_copy(each, known.__getitem__)
    return fx.GraphModule(body, first), fx.GraphModule(body, last)
