import pytest
import torch

from infaug.randomness import Draws
from infaug.world import World


def test_one_process_is_a_world_of_one():
    world, tensor = World.joined(), torch.ones(3)
    world.sum_([tensor])
    assert tensor.eq(1).all()
    assert world.gather(tensor) is tensor
    assert world.first(lambda: 5) == 5


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8])
def test_groups_are_shared_in_order_completely_and_almost_equally(size):
    shares = [World(rank=r, size=size).share(8) for r in range(size)]
    assert [group for share in shares for group in share] == list(range(8))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_more_workers_than_groups_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"4 batch groups.*5 workers.*batch-groups"):
        World(size=5).share(4)


def test_a_samples_numbers_do_not_depend_on_who_holds_its_group():
    whole = Draws("a", 1, groups=range(4), group_size=3)
    late = Draws("a", 1, groups=range(2, 4), group_size=3)
    assert whole.normal(5)[6:].equal(late.normal(5))
    assert whole.uniform(0, 1)[6:].equal(late.uniform(0, 1))


def test_forks_are_independent_of_each_other_and_of_how_much_was_drawn():
    draws = Draws.of_size(4, "a")
    before = draws.fork("b").normal()
    draws.normal(100)
    assert draws.fork("b").normal().equal(before)
    assert not draws.fork("c").normal().equal(before)
