import pytest
import torch

from infaug.data.batches import Batches, batch_indices
from infaug.data.dataset import Labelled, to_float


def some_images(count=10):
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None]
    return Labelled(
        images.repeat(1, 1, 2, 2), torch.arange(count) % 3, ("cat", "cow", "dog")
    )


@pytest.mark.parametrize(
    ("num_samples", "batch_size"), [(10, 4), (3, 8), (8, 8), (1, 2)]
)
def test_the_stream_is_one_permutation_after_another(num_samples, batch_size):
    steps = range(num_samples)
    stream = torch.cat(
        [batch_indices(num_samples, batch_size, step, 0, "t") for step in steps]
    )
    for epoch in stream.split(num_samples):
        assert epoch.sort().values.equal(torch.arange(num_samples))


def test_epochs_and_keys_have_their_own_order():
    first, second = (batch_indices(50, 50, step, 0, "a") for step in (0, 1))
    assert not first.equal(second)
    assert not first.equal(batch_indices(50, 50, 0, 1, "a"))


def test_a_batch_does_not_depend_on_the_batches_before():
    alone = batch_indices(10, 4, 7, 0, "alone")
    for step in range(7):
        batch_indices(10, 4, step, 0, "alone").zero_()
    assert batch_indices(10, 4, 7, 0, "alone").equal(alone)


def test_a_batch_pairs_images_with_their_labels():
    data = some_images()
    x, y, _ = Batches(data, 4, 2, range(2), "cpu", 1, 0, "t").at(3)
    rows = batch_indices(10, 4, 3, 0, "t")
    assert x[:, 0].equal(to_float(data.images[rows]))
    assert y.argmax(1).equal(data.labels[rows])
    assert y.sum(1).equal(torch.ones(4))


def test_every_view_begins_from_the_same_image():
    x, _, _ = Batches(some_images(), 4, 2, range(2), "cpu", 3, 0, "t").at(0)
    assert x.shape == (4, 3, 1, 2, 2)
    assert x[:, 1].equal(x[:, 0])
    assert x[:, 2].equal(x[:, 0])


@pytest.mark.parametrize("step", [0, 2])
def test_the_parts_of_two_workers_are_the_whole_batch(step):
    whole, left, right = (
        Batches(some_images(), 8, 4, groups, "cpu", 1, 0, "t").at(step)
        for groups in (range(4), range(2), range(2, 4))
    )
    for i in (0, 1):
        assert torch.cat([left[i], right[i]]).equal(whole[i])
    numbers = [rng.uniform(-1.0, 1.0, 3) for _, _, rng in (whole, left, right)]
    assert torch.cat(numbers[1:]).equal(numbers[0])
