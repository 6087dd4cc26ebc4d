"""Whether a job can ever fit on a cluster; if not, in words, what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from infaug.cluster.groups import Cluster, Group, Resources, spell
from infaug.cluster.job import Demand, Job, count_of, told
from infaug.cluster.packing import fits, holds
from infaug.span import Span


def verdict(cluster: Cluster, job: Job) -> str:
    """What of the job fits at once.

    Raises:
        ValueError: if even its least can never fit; the message says what is missing.
    """
    workers, pool = job.workers, job.pool
    needed = job.demands(workers.least, pool.least)
    if not fits(cluster, needed):
        raise ValueError(f"job: {_missing(cluster, needed)}")

    def fit_workers(count: int) -> bool:
        return fits(cluster, job.demands(count, pool.least))

    reached = Span(least=workers.least, most=_largest(workers, fit_workers))

    def fit_pool(count: int) -> bool:
        return fits(cluster, job.demands(reached.most, count))

    grown = Span(least=pool.least, most=_largest(pool, fit_pool))
    said = told(job.demands(reached.most, grown.most))
    short = [
        f"{flag} asks for {asked}, but never more than {got.most} fit"
        for flag, asked, got in (
            ("--workers", workers, reached),
            ("--pool", pool, grown),
        )
        if got.most < asked.most
    ]
    return "; ".join([f"this job fits: {said}", *short])


def largest(cluster: Cluster) -> Resources:
    """The most of each resource that the cluster can ever have."""
    names = {name for group in cluster.groups for name in group.resources}
    return {name: _most_of(cluster, name) for name in names}


def _most_of(cluster: Cluster, name: str) -> float:
    amounts = sorted(
        (
            group.resources.get(name, 0)
            for group in cluster.workers
            for _ in range(min(group.most, cluster.max_workers))
        ),
        reverse=True,
    )
    return cluster.head.resources.get(name, 0) + sum(amounts[: cluster.max_workers])


def _largest(span: Span, fit: Callable[[int], bool]) -> int:
    """The largest count of the span that fits; its least does."""
    low, high = span.least, span.most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fit(middle) else (low, middle - 1)
    return low


def _missing(cluster: Cluster, needed: Sequence[Demand]) -> str:
    for demand in needed:
        if not any(holds(group, demand.bundle) for group in cluster.groups):
            return _no_node(cluster, demand)
    have = largest(cluster)
    asked: dict[str, float] = {}
    for demand in needed:
        for name, amount in demand.bundle.items():
            asked[name] = asked.get(name, 0) + demand.count * amount
    short = [name for name in asked if asked[name] > have.get(name, 0)]
    if short:
        helping = [group for group in cluster.workers if group.resources.get(short[0])]
        return (
            f"{told(list(needed))} ask for {spell({n: asked[n] for n in short})}, and "
            f"at its largest the cluster has {spell({n: have[n] for n in short})}: "
            f"{_remedy(cluster, helping)}"
        )
    return _scattered(cluster, needed)


def _no_node(cluster: Cluster, demand: Demand) -> str:
    def lacking(group: Group) -> Resources:
        return {
            name: amount
            for name, amount in demand.bundle.items()
            if group.resources.get(name, 0) < amount
        }

    nearest = min(cluster.groups, key=lambda group: len(lacking(group)))
    return (
        f"a {demand.what} takes {spell(demand.bundle)}, and no node has that: the "
        f"nearest, of {nearest.name}, has {spell(nearest.resources)} and lacks "
        f"{spell(lacking(nearest))}: add it to a group's resources or ask for less"
    )


def _scattered(cluster: Cluster, needed: Sequence[Demand]) -> str:
    """There is enough of everything, but not together on the nodes."""
    last, others = needed[-1], list(needed[:-1])
    for index, demand in enumerate(needed):
        if not fits(cluster, needed[: index + 1]):
            last, others = demand, list(needed[:index])
            break

    def fit(count: int) -> bool:
        return fits(cluster, [*others, replace(last, count=count)])

    count = _largest(Span(most=last.count), fit)
    beside = f" beside {told(others)}" if others else ""
    helping = [group for group in cluster.workers if holds(group, last.bundle)]
    return (
        f"only {count} of {count_of(last)} of {spell(last.bundle)} fit{beside}: no "
        f"node has enough left, {_remedy(cluster, helping)}"
    )


def _remedy(cluster: Cluster, helping: Sequence[Group]) -> str:
    names = " or ".join(group.name for group in helping)
    return (
        f"allow more nodes of {names} (now {cluster.max_workers} in all), or lower "
        "what the job asks for"
    )
