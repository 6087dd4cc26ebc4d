"""What each process reads, decodes and holds of images that are on disk."""

import os
from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest
import torch
from full_disk import full_disk
from peers import together
from reading import flat, write_rows

from infaug.config import DataConfig
from infaug.data import loader, share
from infaug.data.loader import Reader
from infaug.data.on_disk import Held
from infaug.data.problem import Splits, divide
from infaug.data.share import hold, local_part, sample
from infaug.data.source import load
from infaug.world import World

TRAIN, VAL, TEST = 60, 600, 300
NAMES = ("influence", "selection", "test")
CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Flat images of many greys in row groups of three; nothing is kept yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("infaug.data.problem.CHUNK", 10)
    for name, num in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        images = [flat(n % 251) for n in range(num)]
        labels = [n % 3 for n in range(num)]
        write_rows(tmp_path / "set" / f"{name}.parquet", labels, images)
    return DataConfig(source=str(tmp_path / "set"), image_size=8, stream_above_gib=0)


@pytest.fixture
def counts(monkeypatch) -> Counter[str]:
    """Rows that are read, in whole row groups, and images that are decoded."""
    counted, read, decode = Counter[str](), loader.read_items, Reader.decode

    def counted_read(group, *rest):
        counted["rows"] += group.size
        return read(group, *rest)

    def counted_decode(self, encoded, crops):
        counted["decoded"] += len(encoded.items)
        return decode(self, encoded, crops)

    monkeypatch.setattr(loader, "read_items", counted_read)
    monkeypatch.setattr(Reader, "decode", counted_decode)
    return counted


def splits_of(config: DataConfig) -> Splits:
    return divide(load(config), config)


def start(config: DataConfig, rank: int, size: int) -> list[Held]:
    """What a process holds once it has started, the others being elsewhere."""
    splits, world = splits_of(config), World(rank=rank, size=size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "each", lambda _, act: act())
        splits = splits.held_by(world)
    return [getattr(splits, name).held for name in NAMES]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_process_reads_decodes_and_holds_little_more_than_its_share(
    config, counts, size
):
    for rank in range(size):
        counts.clear()
        held = start(config, rank, size)
        num_bytes = sum(part.images.images.nbytes for part in held)
        assert num_bytes <= 1.1 * (VAL + TEST) * 3 * 8 * 8 / size
        # F is normalised by the training images, so they are read along.
        assert counts["decoded"] <= 1.1 * (VAL + TEST + TRAIN) / size
        assert counts["rows"] <= 1.1 * (VAL + TEST + TRAIN) / size


def test_the_parts_of_all_processes_are_the_split_in_order(config):
    whole = splits_of(config)
    parts = [start(config, rank, 4) for rank in range(4)]
    for name, of_split in zip(NAMES, zip(*parts, strict=True), strict=True):
        expected = getattr(whole, name).select_all()
        images = torch.cat([part.images.images for part in of_split])
        assert images.equal(expected.images)
        labels = torch.cat([part.images.labels for part in of_split])
        assert labels.equal(expected.labels)
        assert [n for part in of_split for n in part.rows] == list(range(len(images)))


def test_a_second_start_reads_nothing_but_what_was_kept(config, counts):
    before = [start(config, rank, 2) for rank in range(2)]
    counts.clear()
    again = [start(config, rank, 2) for rank in range(2)]
    assert not counts
    for old, new in zip(chain(*before), chain(*again), strict=True):
        assert new.images.images.equal(old.images.images)


def test_after_a_resize_a_process_reads_its_new_share_once(config, counts):
    for rank in range(4):
        start(config, rank, 4)
    for rank in range(3):
        counts.clear()
        start(config, rank, 3)
        assert counts["decoded"] <= 1.1 * (VAL + TEST + TRAIN) / 3
        assert counts["rows"] <= 1.1 * (VAL + TEST + TRAIN) / 3
        counts.clear()
        start(config, rank, 3)
        assert not counts


def test_a_file_that_was_written_anew_is_read_anew(config, tmp_path):
    start(config, 0, 1)
    labels = [n % 3 for n in range(TEST)]
    write_rows(tmp_path / "set" / "test.parquet", labels, [flat(9)] * TEST)
    *_, test = start(config, 0, 1)
    assert test.images.images.unique().tolist() == [9]


@pytest.mark.parametrize("change", [{"image_size": 9}, {"centre_crop": 0.5}])
def test_images_that_look_otherwise_are_other_files(config, counts, change):
    start(config, 0, 1)
    counts.clear()
    start(replace(config, **change), 0, 1)
    assert counts["decoded"] == VAL + TEST + TRAIN


def test_without_room_on_the_disk_images_are_held_and_that_is_reported(config):
    with full_disk(), pytest.warns(UserWarning, match="next start reads them again"):
        *_, test = start(config, 0, 2)
    expected = splits_of(config).test.select(torch.arange(TEST // 2))
    assert test.images.images.equal(expected.images)
    assert not list((share.cache_folder() / "images").iterdir())


def test_files_that_were_not_used_for_longest_give_way(config, monkeypatch):
    start(config, 0, 1)
    folder = share.cache_folder() / "images"
    for number, file in enumerate(sorted(folder.iterdir())):
        os.utime(file, (number, number))
    oldest, *others = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
    size = sum(file.stat().st_size for file in folder.iterdir())
    monkeypatch.setattr(share, "MAX_KEPT", size)
    local_part(splits_of(config).test.part(torch.arange(1)), World())
    assert not oldest.exists()
    assert all(file.exists() for file in others)


def test_an_image_that_one_process_cannot_read_ends_all_of_them(config, tmp_path):
    images = [flat(0)] * (TEST - 1) + [b"no image"]
    write_rows(tmp_path / "set" / "test.parquet", [n % 3 for n in range(TEST)], images)
    seen = []

    def begin(world: World) -> None:
        with pytest.raises(ValueError, match="row 299 cannot be read"):
            splits_of(config).held_by(world)
        seen.append(world.rank)

    together(3, begin)
    assert sorted(seen) == [0, 1, 2]


def test_every_process_sees_the_whole_sample_that_f_is_normalised_by(config):
    splits = splits_of(config)
    alone = sample(splits.train, World(), CPU)
    assert len(alone) == TRAIN
    for found in together(3, lambda world: sample(splits.train, world, CPU)):
        assert found.equal(alone)


def test_of_images_in_memory_only_the_work_is_shared(config):
    whole = divide(load(memory := replace(config, stream_above_gib=4)), memory)
    (kept,) = hold([(whole.test, 1)], World(rank=1, size=4))
    assert kept is whole.test
    part = local_part(whole.test, World(rank=1, size=4), 10)
    assert part.images.data_ptr() == whole.test.images[80:].data_ptr()
    assert len(part) == 70
