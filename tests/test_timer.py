import pytest

from infaug.timer import Timer


def test_parts_never_overlap(clock):
    timer = Timer(clock)
    with timer.time("s_val"):
        clock.seconds += 1
        with timer.time("peers"):
            clock.seconds += 10
        clock.seconds += 100
    clock.seconds += 1000  # the work itself
    assert timer.take().seconds == {"s_val": 101, "peers": 10}


def test_a_part_ends_with_its_block_even_when_that_fails(clock):
    timer = Timer(clock)

    def fail() -> None:
        with timer.time("data"):
            clock.seconds += 1
            raise ValueError("no images")

    with pytest.raises(ValueError, match="no images"):
        fail()
    clock.seconds += 10
    with timer.time("data"):
        clock.seconds += 100
    assert timer.take().seconds == {"data": 101}
