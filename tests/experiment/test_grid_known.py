"""Which images results are about."""

from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.experiment.grid import grid_training
from infaug.experiment.grid_known import KnownImages
from infaug.experiment.results import Results

ONE, OTHER = {"train checksum": "1a"}, {"train checksum": "2b"}
DATA = CONFIG.data


def finish_a_cell(results: Results) -> None:
    cell = grid_training("base", 0, CONFIG)
    results.add({"row": "base", "seed": 0, "config": cell.settings})


def test_images_with_results_stay_and_others_are_refused(tmp_path):
    results = Results(tmp_path / "deep" / "board.jsonl")
    KnownImages(results).match(DATA, DATA, ONE)
    finish_a_cell(results)
    KnownImages(results).match(DATA, DATA, ONE)
    before = (tmp_path / "deep" / "board-images.json").read_bytes()
    shared = replace(DATA, target=100, seed=1, drop_duplicates=True)
    for data in (DATA, shared):
        with pytest.raises(ValueError, match=r"board.jsonl.*'digits'.*another --out"):
            KnownImages(Results(results.path)).match(data, data, OTHER)
    assert (tmp_path / "deep" / "board-images.json").read_bytes() == before


def test_images_without_results_give_way(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    KnownImages(results).match(DATA, DATA, ONE)
    KnownImages(results).match(DATA, DATA, OTHER)
    finish_a_cell(results)
    with pytest.raises(ValueError, match="other images"):
        KnownImages(results).match(DATA, DATA, ONE)


def test_images_read_with_other_settings_and_of_another_name_are_others(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    finish_a_cell(results)
    KnownImages(results).match(DATA, DATA, ONE)
    for data in (replace(DATA, image_size=24), replace(DATA, source="more")):
        KnownImages(results).match(data, data, OTHER)
    KnownImages(results).match(DATA, DATA, ONE)


def test_images_are_the_same_whether_their_size_was_chosen_or_given(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    given = replace(DATA, image_size=16, mode="L")
    cell = grid_training("base", 0, replace(CONFIG, data=given))
    results.add({"row": "base", "seed": 0, "config": cell.settings})
    KnownImages(results).match(DATA, given, ONE)
    with pytest.raises(ValueError, match="other images"):
        KnownImages(results).match(given, given, OTHER)
    KnownImages(results).match(given, given, ONE)
    with pytest.raises(ValueError, match="other images"):
        KnownImages(results).match(DATA, replace(DATA, image_size=24), OTHER)


def test_a_size_that_was_chosen_is_recalled_without_the_images(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    KnownImages(results).match(DATA, replace(DATA, image_size=16, mode="L"), ONE)
    known, requested = KnownImages(results), replace(DATA, seed=3)
    assert known.recall(requested) == replace(requested, image_size=16, mode="L")
    unknown = replace(DATA, source="more")
    assert known.recall(unknown) == unknown
