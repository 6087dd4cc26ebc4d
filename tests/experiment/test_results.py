"""Which images results are about."""

from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.experiment.grid import grid_training
from infaug.experiment.results import Results

ONE, OTHER = {"train checksum": "1a"}, {"train checksum": "2b"}
DATA = replace(CONFIG.data, image_size=16, mode="L")


def finish_a_training(results: Results, **more) -> None:
    training = grid_training("base", 0, replace(CONFIG, data=DATA))
    results.add({"row": "base", "seed": 0, "config": training.settings, **more})


def test_images_with_results_stay_and_others_are_refused(tmp_path):
    results = Results(tmp_path / "deep" / "board.jsonl")
    results.match(DATA, ONE)
    results.match(DATA, OTHER)
    finish_a_training(results, data=ONE)
    results.match(DATA, ONE)
    shared = replace(DATA, target=100, seed=1, drop_duplicates=True)
    for data in (DATA, shared):
        with pytest.raises(ValueError, match=r"board.jsonl.*'digits'.*another --out"):
            Results(results.path).match(data, OTHER)


def test_images_read_with_other_settings_and_of_another_name_are_others(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    finish_a_training(results, data=ONE)
    for data in (replace(DATA, image_size=24), replace(DATA, source="more")):
        results.match(data, OTHER)


def test_results_from_before_this_was_kept_are_about_what_comes_next(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    finish_a_training(results)
    results.match(DATA, ONE)


def test_a_size_that_was_chosen_is_recalled_without_the_images(tmp_path):
    results = Results(tmp_path / "board.jsonl")
    finish_a_training(results)
    requested = replace(CONFIG.data, seed=3)
    assert results.recall(requested) == replace(requested, image_size=16, mode="L")
    for unknown in (
        replace(requested, source="more"),
        replace(requested, image_size=9),
    ):
        assert results.recall(unknown) == unknown
