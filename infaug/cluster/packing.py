"""Whether bundles of resources can lie on a cluster's nodes at all.

Exact, not greedy: a greedy packing that fails proves nothing. A node of a group may be
filled in a few ways, so the question is how many nodes of each group to fill in each
way: a small integer program.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.optimize import Bounds, milp

from infaug.cluster.groups import Cluster, Group
from infaug.cluster.job import Demand

UNIT = 10_000  # Ray counts resources in ten-thousandths


def fits(cluster: Cluster, demands: Sequence[Demand]) -> bool:
    """Whether all demands have room at once on the largest cluster there can be.

    n[g, f] nodes of group g are filled in way f; sum_f n[g, f] <= most nodes of g,
    those beside the head <= max_workers, and sum n[g, f] * f[d] >= count of each d.
    """
    if not demands:
        return True
    ways = [
        (group, fill) for group in cluster.groups for fill in _fills(group, demands)
    ]
    per_group = [[float(g is group) for g, _ in ways] for group in cluster.groups]
    beside_head = [float(group is not cluster.head) for group, _ in ways]
    placed = np.array([fill for _, fill in ways], dtype=float).T
    most = [*(group.most for group in cluster.groups), cluster.max_workers]
    found = milp(
        np.ones(len(ways)),  # any objective does: few nodes
        integrality=np.ones(len(ways)),
        bounds=Bounds(0, np.inf),
        constraints=[
            (np.array([*per_group, beside_head]), -np.inf, most),
            (placed, [demand.count for demand in demands], np.inf),
        ],
    )
    return bool(found.success)


def holds(group: Group, bundle: Mapping[str, float]) -> bool:
    """Whether one node of the group has room for one bundle."""
    return all(
        group.resources.get(name, 0) >= amount for name, amount in bundle.items()
    )


def _fills(group: Group, demands: Sequence[Demand]) -> Iterator[tuple[int, ...]]:
    """How many bundles of each demand a node may hold, of the last one the most."""
    bundles = [_units(demand.bundle) for demand in demands]
    return _filled(_units(group.resources), bundles, [d.count for d in demands])


def _filled(
    free: Mapping[str, int], bundles: Sequence[dict[str, int]], counts: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    if not bundles:
        yield ()
        return
    bundle, others = bundles[0], bundles[1:]
    room = [free.get(name, 0) // amount for name, amount in bundle.items() if amount]
    top = min([*room, counts[0]])
    for count in range(top + 1) if others else [top]:
        rest = {name: free[name] - count * bundle.get(name, 0) for name in free}
        for more in _filled(rest, others, counts[1:]):
            yield (count, *more)


def _units(resources: Mapping[str, float]) -> dict[str, int]:
    return {name: round(amount * UNIT) for name, amount in resources.items()}
