"""What a job asks of a cluster, and whether it can ever fit there.

Bundles are placed as Ray's autoscaler places them: one after the other, on the nodes
that are already used, then on a new node that wastes least.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infaug.cluster.groups import Cluster, Group, Resources, spell
from infaug.count_range import CountRange

ROUNDING = 1e-6  # ten tenths of a GPU are one


@dataclass(frozen=True, kw_only=True)
class Demand:
    """`count` equal bundles, which may lie on different nodes."""

    what: str
    bundle: Resources
    count: int

    def __str__(self) -> str:
        """As in `2 workers of CPU=1, GPU=1`."""
        plural = "" if self.count == 1 else "s"
        return f"{self.count} {self.what}{plural} of {spell(self.bundle)}"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job: what must lie on the cluster at once.

    A worker takes one CPU and its GPUs. The driver takes nothing unless the cluster
    file reserves something for its entrypoint: it waits most of the time.
    """

    workers: CountRange = field(default_factory=CountRange)
    gpus_per_worker: float = 0.0
    pool: CountRange = field(default_factory=CountRange)
    pool_resources: Resources = field(default_factory=lambda: {"CPU": 1.0})
    driver: Resources = field(default_factory=dict)
    decode: int = 0
    """CPUs that decode images beside them."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is requested."""
        return not (self.workers.max or self.pool.max or self.decode or self.driver)

    def demands(self, workers: int, pool: int) -> list[Demand]:
        """With so many workers and solver actors; the smallest bundles come last."""
        gpus = {"GPU": self.gpus_per_worker} if self.gpus_per_worker else {}
        worker, actor = {"CPU": 1.0, **gpus}, self.pool_resources
        demands = [
            Demand(what="driver", bundle=self.driver, count=int(bool(self.driver))),
            Demand(what="worker", bundle=worker, count=workers),
            Demand(what="solver actor", bundle=actor, count=pool),
            Demand(what="decoding task", bundle={"CPU": 1.0}, count=self.decode),
        ]
        return [demand for demand in demands if demand.count]


def describe_fit(cluster: Cluster, job: Job) -> str:
    """What of the job fits at once.

    Raises:
        ValueError: if not even its minimum can fit; the message says what is missing.
    """
    workers, pool = job.workers, job.pool
    needed = job.demands(workers.min, pool.min)
    for index, (demand, count) in enumerate(
        zip(needed, placed(cluster, needed), strict=True)
    ):
        if count < demand.count:
            raise ValueError(f"job: {_missing(cluster, needed[:index], demand, count)}")
    high, highest = workers.min, pool.min
    while high < workers.max and fits(cluster, job.demands(high + 1, pool.min)):
        high += 1
    while highest < pool.max and fits(cluster, job.demands(high, highest + 1)):
        highest += 1
    short = [
        f"{flag} asks for {allowed}, but never more than {count} fit"
        for flag, allowed, count in (
            ("--workers", workers, high),
            ("--pool", pool, highest),
        )
        if count < allowed.max
    ]
    fitting = "; ".join(map(str, job.demands(high, highest)))
    return "; ".join([f"this job fits: {fitting}", *short])


def fits(cluster: Cluster, demands: Sequence[Demand]) -> bool:
    """Whether all demands can be placed at once on the largest cluster there can be."""
    return placed(cluster, demands) == [demand.count for demand in demands]


def placed(cluster: Cluster, demands: Sequence[Demand]) -> list[int]:
    """How many bundles of each demand find a place, those of the first ones first."""
    unused = {group.name: group.max for group in cluster.groups}
    left_beside_head = cluster.max_workers
    nodes: list[Resources] = []
    counts = []
    for demand in demands:
        for number in range(demand.count):
            used = [node for node in nodes if _holds(node, demand.bundle)]
            if not used:
                groups = [
                    group
                    for group in cluster.groups
                    if unused[group.name] and _holds(group.resources, demand.bundle)
                    if group is cluster.head or left_beside_head
                ]
                if not groups:
                    counts.append(number)
                    break
                group = min(groups, key=lambda group: _waste(group, demand.bundle))
                unused[group.name] -= 1
                left_beside_head -= group is not cluster.head
                nodes.append(dict(group.resources))
                used = nodes[-1:]
            node = min(used, key=lambda node: sum(node.values()))
            for name, amount in demand.bundle.items():
                node[name] -= amount
        else:
            counts.append(demand.count)
    return counts


def _holds(resources: Resources, bundle: Resources) -> bool:
    """Whether one node with these resources can take a bundle."""
    return all(
        resources.get(name, 0) >= amount - ROUNDING for name, amount in bundle.items()
    )


def _waste(group: Group, bundle: Resources) -> tuple[int, float]:
    """Kinds of resources that the bundle leaves untouched, then what it leaves."""
    kinds = {name for name, amount in group.resources.items() if amount}
    return len(kinds - set(bundle)), sum(group.resources.values())


def _missing(
    cluster: Cluster, others: Sequence[Demand], demand: Demand, count: int
) -> str:
    """Why only `count` of a demand fit beside others that do."""
    helping = [g for g in cluster.groups if _holds(g.resources, demand.bundle)]
    if not helping:
        return (
            f"no node has what a {demand.what} takes, {spell(demand.bundle)}: add it "
            "to a group's resources, or ask for less"
        )
    beside = f" beside {'; '.join(map(str, others))}" if others else ""
    names = " or ".join(group.name for group in helping)
    return (
        f"only {count} of {demand} fit{beside}: allow more nodes of {names} (now "
        f"{cluster.max_workers} in all), or lower what the job asks for"
    )
