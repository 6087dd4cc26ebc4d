"""Whether bundles of resources can lie on a cluster's nodes at all.

Exact, not greedy: a greedy packing that fails proves nothing. Nodes of a group are
equal, and so are the bundles of a demand, so the search is over how many bundles of
each demand are still to be placed, and how few nodes that took.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infaug.cluster.groups import Cluster, Group, Resources

UNIT = 10_000  # Ray counts resources in ten-thousandths

Counts = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """`count` equal bundles, which may lie on different nodes."""

    what: str
    bundle: Resources
    count: int


def fits(cluster: Cluster, demands: Sequence[Demand]) -> bool:
    """Whether all demands have room at once on the largest cluster there can be."""
    nothing = tuple(0 for _ in demands)
    # Bundles still to be placed -> the fewest nodes beside the head that this takes.
    fewest = {tuple(demand.count for demand in demands): 0}
    fewest = _placed(fewest, cluster.head, demands, cost=0, most=cluster.max_workers)
    for group in cluster.workers:
        for _ in range(group.most):
            if nothing in fewest:
                return True
            before = fewest
            fewest = _placed(before, group, demands, cost=1, most=cluster.max_workers)
            if fewest == before:
                break
    return nothing in fewest


def holds(group: Group, bundle: Mapping[str, float]) -> bool:
    """Whether one node of the group has room for one bundle."""
    return all(
        group.resources.get(name, 0) >= amount for name, amount in bundle.items()
    )


def _placed(
    fewest: dict[Counts, int],
    group: Group,
    demands: Sequence[Demand],
    *,
    cost: int,
    most: int,
) -> dict[Counts, int]:
    """What is left to place with one more node of the group, used or not."""
    found = dict(fewest)
    free = _units(group.resources)
    bundles = [_units(demand.bundle) for demand in demands]
    for left, nodes in fewest.items():
        if nodes + cost > most:
            continue
        for fill in _fills(free, bundles, left):
            rest = tuple(a - b for a, b in zip(left, fill, strict=True))
            found[rest] = min(found.get(rest, most), nodes + cost)
    return found


def _fills(
    free: dict[str, int], bundles: Sequence[dict[str, int]], left: Counts
) -> Iterator[Counts]:
    """How many bundles of each demand a node may hold, with the last demand's most."""
    if not bundles:
        yield ()
        return
    bundle, others = bundles[0], bundles[1:]
    room = [free.get(name, 0) // amount for name, amount in bundle.items() if amount]
    top = min([*room, left[0]])
    for count in range(top, -1, -1) if others else [top]:
        rest = {n: free[n] - count * bundle.get(n, 0) for n in free}
        for more in _fills(rest, others, left[1:]):
            yield (count, *more)


def _units(resources: Mapping[str, float]) -> dict[str, int]:
    return {name: round(amount * UNIT) for name, amount in resources.items()}
