import random
import statistics

from paired import interval, ratio, take_turns


def test_every_way_takes_every_turn_and_each_is_first_in_turn():
    order: list[str] = []

    def way(name: str) -> float:
        order.append(name)
        return float(len(order))

    ways = {name: (lambda n=name: way(n)) for name in "abc"}
    found = take_turns(ways, 3)
    assert "".join(order) == "abcbcacab"
    assert found == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_the_interval_holds_the_median_of_what_it_was_drawn_from_with_95_percent():
    rng = random.Random(0)
    held = 0
    for _ in range(2000):
        low, high = interval([rng.expovariate(1) for _ in range(15)])
        held += low <= 0.6931 <= high
    assert 0.95 <= held / 2000 <= 0.98  # 15 order statistics can do 0.965


def test_a_ratio_is_of_pairs_not_of_medians():
    slow, fast = [4.0, 10.0, 1.0], [1.0, 5.0, 1.0]
    assert ratio(slow, fast) == [2.0, 1.0, 4.0]
    assert statistics.median(slow) / statistics.median(fast) == 4.0
