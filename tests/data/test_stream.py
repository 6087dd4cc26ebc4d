"""A streamed set trains as one in memory would, in another order."""

from dataclasses import replace
from functools import partial

import pytest
import reading
import torch
from PIL import Image
from reading import flat, write_rows

from infaug.config import DataConfig, ShiftConfig
from infaug.data.decode import Decoder, Encoded
from infaug.data.loader import Reader, load_in_threads
from infaug.data.on_disk import OnDisk
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.data.stream import Stream, buffers

NUM, CLASSES = 60, 3


@pytest.fixture
def config(tmp_path):
    """Sixty flat images, each of its own grey, in two files of row groups of three."""
    for part in range(2):
        numbers = range(30 * part, 30 * part + 30)
        images = [flat(4 * n, size=(10 + n % 3, 12), mode="RGB") for n in numbers]
        labels = [n % CLASSES for n in numbers]
        write_rows(tmp_path / "set" / f"train-{part}.parquet", labels, images)
    return DataConfig(
        source=str(tmp_path / "set"), image_size=8, stream_above_gib=0, target=12,
        test=9,
    )  # fmt: skip


def stored_of(config) -> OnDisk:
    train = load(config).train
    assert isinstance(train, OnDisk)
    return train


def stream(stored, groups=range(2), crops=("random", "centre")) -> Stream:
    return Stream(stored, 8, 2, groups, "cpu", crops, 0, "t")


def shown(batch) -> list[int]:
    """Which images a batch holds: each has its own grey."""
    return (batch.x[:, 0, 0, 0, 0] * 255 / 4).round().int().tolist()


def test_a_stored_set_has_the_images_that_memory_has(config):
    in_memory = replace(config, stream_above_gib=4.0)
    whole, stored = load(in_memory).train, stored_of(config)
    assert stored.labels.equal(whole.labels)
    assert stored.image_shape == whole.image_shape
    picked = torch.tensor([59, 0, 31, 30, 7])
    assert stored.select(picked).images.equal(whole.images[picked])
    assert stored.select(picked).labels.equal(whole.labels[picked])


def test_some_of_the_classes_are_streamed_under_their_new_numbers(config):
    """Classes 0 and 2 of three are left; an image's grey is 4 times its number."""
    stored = stored_of(replace(config, classes=2))
    assert stored.class_names == ("0", "2")
    assert len(stored) == 40
    batch = stream(stored).at(0)
    old = [number % CLASSES for number in shown(batch)]
    assert 1 not in old
    assert batch.y.argmax(1).tolist() == [{0: 0, 2: 1}[each] for each in old]
    few = load(replace(config, classes=2, stream_above_gib=4.0)).train
    assert stored.select_all().images.equal(few.images)
    assert stored.labels.equal(few.labels)


def test_the_same_splits_are_drawn_as_in_memory(config):
    in_memory = replace(config, stream_above_gib=4.0)
    ours, theirs = (divide(load(c), c) for c in (config, in_memory))
    for name in ("influence", "selection", "test"):
        stored, decoded = getattr(ours, name), getattr(theirs, name)
        assert stored.select_all().images.equal(decoded.images)
    assert isinstance(ours.train, OnDisk)
    everything = torch.arange(len(ours.train))
    assert ours.train.select(everything).images.equal(theirs.train.images)
    assert len(ours.pooled) == len(theirs.pooled)
    assert isinstance(ours.pooled, OnDisk)
    assert ours.pooled.positions.equal(ours.pooled.positions.unique())
    batches = stream(ours.train)
    seen = {n for step in range(20) for n in shown(batches.at(step))}
    assert seen == set(ours.train.positions.tolist())


@pytest.mark.parametrize("is_pooled", [False, True])
def test_what_f_trains_on_is_named_by_its_number_in_the_source(config, is_pooled):
    for above_gib in (0.0, 1.0):
        settings = replace(config, stream_above_gib=above_gib)
        source = load(settings)
        splits = divide(source, settings)
        trained = splits.pooled if is_pooled else splits.train
        number, drives = splits.trained_on(is_pooled)
        named = source.train.select(number)
        assert torch.equal(named.labels, trained.labels)
        images = trained.select(torch.arange(len(trained))).images
        assert torch.equal(named.images, images)
        assert int(drives.sum()) == (len(splits.influence) if is_pooled else 0)


def test_every_epoch_of_a_shard_has_its_images_once(config):
    stored = stored_of(config)
    for shard in range(2):
        epochs = {}
        ahead = buffers(
            stored.positions_by_group(), 2, range(shard, shard + 1), 0, 0, "t", size=8
        )
        for buffer in ahead:
            epoch = buffer.key[-2]
            if epoch == 3:
                break
            epochs.setdefault(epoch, []).extend(buffer.positions.tolist())
        assert len(epochs) == 3
        for positions in epochs.values():
            assert len(set(positions)) == len(positions) == NUM // 2
        assert len({tuple(p) for p in epochs.values()}) == 3


def test_the_shards_of_an_epoch_are_the_whole_set(config):
    stored = stored_of(config)
    seen = []
    for buffer in buffers(stored.positions_by_group(), 2, range(2), 0, 0, "t", size=8):
        if buffer.key[-2] == 0:
            seen += buffer.positions.tolist()
        if buffer.start > NUM:
            break
    assert sorted(seen) == list(range(NUM))


def test_views_of_an_image_belong_to_its_label(config):
    batch = stream(stored_of(config)).at(0)
    assert batch.x.shape == (8, 2, 3, 8, 8)
    assert shown(batch) == [
        round(v) for v in (batch.x[:, 1, 0, 0, 0] * 255 / 4).tolist()
    ]
    assert batch.y.argmax(1).tolist() == [n % CLASSES for n in shown(batch)]


def test_the_parts_of_two_workers_are_the_whole_batch(config):
    stored = stored_of(config)
    parts = [stream(stored, groups) for groups in (range(2), range(1), range(1, 2))]
    for step in range(12):
        whole, left, right = (part.at(step) for part in parts)
        assert torch.cat([left.x, right.x]).equal(whole.x)
        assert torch.cat([left.y, right.y]).equal(whole.y)
        numbers = [each.rng.uniform(0, 1) for each in (left, right)]
        assert torch.cat(numbers).equal(whole.rng.uniform(0, 1))


@pytest.mark.parametrize("first", [1, 5, 17])
def test_a_stream_that_begins_later_goes_on_as_one_that_began_at_the_start(
    config, first
):
    stored = stored_of(config)
    whole, late = stream(stored), stream(stored)
    for step in range(first + 3):
        expected = whole.at(step)
        if step >= first:
            found = late.at(step)
            assert found.x.equal(expected.x)
            assert found.y.equal(expected.y)


def test_a_step_out_of_turn_decodes_its_images_alone(config, monkeypatch):
    decoded = reading.count_decoded(monkeypatch)
    stream(stored_of(config)).at(40)
    assert sum(decoded) == 8


def test_the_number_of_threads_changes_no_byte(config):
    alone, many = stored_of(config), load(config, partial(load_in_threads, num=3)).train
    assert isinstance(many, OnDisk)
    for step in range(6):
        assert stream(alone).at(step).x.equal(stream(many).at(step).x)


def crops(item, crop, numbers, size):
    return Reader(groups=(), size=size, mode="L").crops_of(item, (crop,), numbers)


def encoded(image) -> Encoded:
    return Encoded("x.png", reading.encoded(image), 0)


@pytest.mark.parametrize("mirror", [0.9, 0.1])
def test_a_crop_of_the_whole_area_is_the_image_or_its_mirror(mirror):
    image = Image.linear_gradient("L").rotate(90).resize((16, 16))
    numbers = torch.tensor([[1.0, 0.5, 0.3, 0.7, mirror]])
    (crop,) = crops(encoded(image), "random", numbers, 16)
    pixels = torch.tensor(list(image.get_flattened_data()), dtype=torch.uint8).view(
        1, 16, 16
    )
    assert crop.equal(pixels if mirror > 0.5 else pixels.flip(-1))


def test_a_share_of_the_centre_square_is_cut_out_everywhere_alike():
    image = Image.linear_gradient("L").resize((40, 32))  # rows count
    item, size = encoded(image), 16
    reader = Reader(groups=(), size=size, mode="L", centre_crop=0.5)
    (cut,) = reader.crops_of(item, ("centre",), torch.zeros(1, 5))
    config = DataConfig(source="x", image_size=size, mode="L", centre_crop=0.5)
    (decoded,) = Decoder(config).read([item]).images
    expected = image.crop((12, 8, 28, 24))
    assert cut.flatten().tolist() == list(expected.get_flattened_data())
    assert decoded.equal(cut)
    with pytest.raises(ValueError, match=r"centre_crop needs data\.image_size"):
        DataConfig(source="x", centre_crop=0.5)


def test_a_random_crop_lies_where_its_numbers_say():
    image = Image.linear_gradient("L")  # rows count from 0 to 255
    area = (0.25 - 0.08) / 0.92  # a quarter of the image: 128 x 128
    numbers = torch.tensor([[area, 0.5, 0.0, 0.5, 0.9]])
    (crop,) = crops(encoded(image), "random", numbers, 128)
    assert crop[0, :, 0].float().sub(torch.arange(64, 192)).abs().max() <= 1


def test_an_image_that_cannot_be_read_is_named(config):
    broken = Encoded("a.parquet row 7", b"not an image", 0)
    with pytest.raises(ValueError, match=r"a\.parquet row 7 cannot be read"):
        crops(broken, "centre", torch.zeros(1, 5), 8)


def test_a_set_too_large_for_memory_needs_a_size(config):
    unsized = replace(config, image_size=None)
    with pytest.raises(ValueError, match=r"--data\.image-size"):
        load(unsized)


def test_images_that_are_streamed_are_not_shifted(config):
    turned = replace(config, shift=ShiftConfig(rotate_deg=40))
    with pytest.raises(ValueError, match=r"data\.shift"):
        divide(load(turned), turned)


def test_more_shards_than_row_groups_are_refused(config):
    with pytest.raises(ValueError, match="smaller row groups"):
        Stream(stored_of(config), 42, 21, range(21), "cpu", ("centre",), 0, "t")
