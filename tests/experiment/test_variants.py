import pytest
import torch
from tiny import CONFIG

from infaug.config import DataConfig
from infaug.data.problem import divide
from infaug.data.source import load
from infaug.experiment.grid import grid_training
from infaug.experiment.results import Results
from infaug.experiment.variants import Variant, develop, run_variant, variants_table
from infaug.record.folder import RunFolder

DEFAULT = Variant(name="default", changes={})
MILD = Variant(name="mild", changes={"estimator.probability": 0.5})


@pytest.fixture(scope="module")
def source():
    return load(CONFIG.data)


def as_set(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_a_variant_changes_the_settings_it_names_and_so_its_key():
    changed, same = MILD.training(CONFIG, 0), DEFAULT.training(CONFIG, 0)
    assert changed.config.estimator.probability == 0.5
    assert same == grid_training(DEFAULT.method, 0, CONFIG)
    assert changed.key != same.key


def test_development_images_are_in_no_split_of_a_run(source):
    plain = DataConfig(source="digits", labels=60, target=60)
    splits, given = develop(source, plain, 1), divide(source, plain, 1)
    held = as_set(splits.test.images)
    assert len(held) > 500
    for split in (given.train, given.influence, given.selection, given.test):
        assert not held & as_set(split.images)


def test_labels_that_leave_no_image_over_are_refused(source):
    with pytest.raises(ValueError, match=r"data\.labels"):
        develop(source, DataConfig(source="digits", target=60), 0)


def test_a_finished_variant_is_in_the_table_and_others_are_not_run(source, tmp_path):
    results = Results(tmp_path / "ablation.jsonl")
    cell = DEFAULT.training(CONFIG, 0)
    record = run_variant(cell, source, RunFolder(tmp_path / "work"), shown=False)
    assert 0 <= record["development_top1"] <= 100
    results.add(record)
    text = variants_table((DEFAULT, MILD), CONFIG, 1, Results(results.path))
    assert f"| default | {record['development_top1']:.1f} |" in text
    assert "| mild | not run | |" in text


def test_differences_are_paired_by_seed(tmp_path):
    results = Results(tmp_path / "ablation.jsonl")
    for variant, tops in ((DEFAULT, (90.0, 80.0)), (MILD, (92.0, 82.0))):
        for seed, top in enumerate(tops):
            cell = variant.training(CONFIG, seed)
            about = {"row": cell.method, "seed": seed, "config": cell.settings}
            results.add({**about, "development_top1": top})
    text = variants_table((DEFAULT, MILD), CONFIG, 2, results)
    assert "| mild | 87.0 ± 7.1 | +2.0 (+2.0 to +2.0) |" in text
