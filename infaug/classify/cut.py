"""A body in two parts: what stays as it is, and the last layers, which learn.

The cut is found in the graph of the body as torch.fx traces it, so it needs no table of
networks: after any operation through whose one result everything later goes.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from torch import fx, nn

MIN_SHARE = 0.9  # of the body's parameters, in the part that learns


class _Tracer(fx.Tracer):
    """Looks into a module only for the modules that it is made of."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one operation of the graph."""
        is_torchs = super().is_leaf_module(m, module_qualified_name)
        return is_torchs or not list(m.children())


def cut(body: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The first part of a body and its last, which share the body's tensors.

    `last(first(x))` is `body(x)` as it is in evaluation mode, without dropout. The last
    part is as short as can be with at least `MIN_SHARE` of the parameters: the last
    two stages of most convolutional networks, all but one or two of a transformer's
    blocks.

    Raises:
        ValueError: if the body cannot be traced, or is nowhere to be cut.
    """
    was_training = body.training
    try:
        graph = _Tracer().trace(body.eval(), _defaults(body))
    except Exception as error:  # fx has many for code that it cannot follow
        raise ValueError(
            f"classifier.freeze: this network cannot be cut ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}): use --freeze body or none"
        ) from error
    finally:
        body.train(was_training)
    total = sum(p.numel() for p in body.parameters())
    for node in reversed(list(_bridges(graph))):
        first, last = _parts(body, graph, node)
        num = sum(p.numel() for p in last.parameters())
        if num >= MIN_SHARE * total:
            return first, last
    raise ValueError(
        "classifier.freeze: this network has no place to be cut, since what its early "
        "layers make is used by the last ones too: use --freeze body or none"
    )


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
