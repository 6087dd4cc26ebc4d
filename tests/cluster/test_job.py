"""Whether a job fits on nodes is decided as Ray would place it."""

from itertools import product

import pytest

from infaug.cluster.groups import Cluster, Group
from infaug.cluster.job import Demand, Job, describe_fit, fits
from infaug.count_range import CountRange


def cluster(max_workers: int, **groups: tuple[int, dict[str, float]]) -> Cluster:
    """Groups of (most, resources of each node), and a head that has nothing."""
    return Cluster(
        name="test",
        provider="aws",
        head=Group(name="head", min=1, max=1, resources={"CPU": 0}),
        workers=tuple(
            Group(name=name, min=0, max=most, resources=resources)
            for name, (most, resources) in groups.items()
        ),
        max_workers=max_workers,
    )


def demand(count: int, **bundle: float) -> Demand:
    return Demand(what="bundle", bundle=bundle, count=count)


def test_enough_in_all_is_not_enough_on_the_nodes():
    three = cluster(3, small=(3, {"CPU": 3}))
    assert fits(three, [demand(3, CPU=2)])
    assert not fits(three, [demand(4, CPU=2)])


def test_nodes_for_one_demand_are_nodes_that_another_cannot_have():
    mixed = cluster(
        4, decode=(4, {"CPU": 2, "solver": 1}), gpu=(4, {"CPU": 1, "GPU": 1})
    )
    assert fits(mixed, [demand(2, GPU=1), demand(2, solver=1)])
    assert not fits(mixed, [demand(3, GPU=1), demand(2, solver=1)])


def test_fractions_of_a_gpu_share_it_exactly():
    one = cluster(1, gpu=(1, {"CPU": 8, "GPU": 1}))
    assert fits(one, [demand(10, GPU=0.1)])
    assert not fits(one, [demand(11, GPU=0.1)])


def placeable(nodes: list[int], sizes: list[int]) -> bool:
    """By trying every node for every bundle."""
    for places in product(range(len(nodes)), repeat=len(sizes)):
        free = list(nodes)
        for place, size in zip(places, sizes, strict=True):
            free[place] -= size
        if min(free) >= 0:
            return True
    return False


@pytest.mark.parametrize("counts", [*product(range(3), repeat=3)])
def test_what_fits_can_be_placed_and_what_is_refused_cannot(counts):
    nodes = cluster(3, large=(1, {"CPU": 5}), small=(2, {"CPU": 4}))
    sizes = [size for size, count in zip((3, 2, 1), counts, strict=True)
             for _ in range(count)]  # fmt: skip
    demands = [demand(n, CPU=size) for size, n in zip((3, 2, 1), counts, strict=True)]
    assert fits(nodes, demands) is placeable([5, 4, 4], sizes)


def test_a_gang_that_its_nodes_cannot_hold_together_is_told_how_many_can():
    pairs = cluster(3, pair=(3, {"CPU": 3, "GPU": 3}))
    job = Job(workers=CountRange(min=4, max=4), gpus_per_worker=2)
    with pytest.raises(ValueError, match="only 3 of 4 workers of CPU=1, GPU=2 fit"):
        describe_fit(pairs, job)


def test_decoding_beside_the_workers_needs_its_own_cpus():
    one = cluster(2, node=(2, {"CPU": 4, "GPU": 1}))
    two = CountRange(min=2, max=2)
    fit = Job(workers=two, gpus_per_worker=1, decode=6)
    assert describe_fit(one, fit).endswith("6 decoding tasks of CPU=1")
    with pytest.raises(ValueError, match="only 6 of 7 decoding tasks"):
        describe_fit(one, Job(workers=two, gpus_per_worker=1, decode=7))
