"""What a finished run says of its influences, and that refitting agrees."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tiny import CONFIG, tiny

from infaug.cli import influence
from infaug.cli.influence import check_in_run
from infaug.cli.main import main
from infaug.cli.terminal import BAD_INPUT
from infaug.data.source import load
from infaug.experiment.run import run
from infaug.influence.features import head_inputs
from infaug.record.folder import RunFolder
from infaug.report.experiment_page import write_report
from infaug.training.alternation import assess
from infaug.training.snapshot import inputs
from infaug.trust.predictions import check_predictions
from infaug.trust.rank import (
    SCHEMA,
    _snapshot,
    extremes,
    rank,
    ranked_images,
    ranked_view,
)
from infaug.trust.reload import reload


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory) -> Path:
    """600 digits for training: few enough to be quick, enough to be linear."""
    out = tmp_path_factory.mktemp("trust") / "run"
    data = replace(CONFIG.data, labels=600, target=200)
    influence = replace(CONFIG.influence, damping=0.1)
    run(tiny(controls="none", data=data, influence=influence), out, shown=False)
    return out


@pytest.fixture(scope="module")
def finished(finished_run):
    return reload(finished_run, "base_learned")


def test_a_training_is_reloaded_as_it_was_when_it_was_finished(finished_run, finished):
    found = RunFolder(finished_run).found("base_learned", 0)
    again = assess(finished.training, finished.splits.test)
    assert again.loss == found["test_loss"]
    assert not finished.training.classifier.training


def test_pooled_images_are_found_again_in_the_source(finished_run):
    pooled = reload(finished_run, "pooled_learned")
    source = load(pooled.training.config.data)
    labels = source.train.labels[pooled.source_index]
    assert labels.equal(pooled.training.train.labels)
    own = len(pooled.splits.train)
    images = source.train.images[pooled.source_index[:own]]
    assert images.equal(pooled.training.train.images[:own])


def test_predictions_agree_with_refitting(finished):
    trust = check_predictions(finished, num_samples=8)
    assert trust.refitted.pearson > 0.99
    assert abs(trust.refitted.slope - 1) < 0.1
    assert trust.live_gradient > 0


def test_too_many_samples_are_refused(finished):
    with pytest.raises(ValueError, match="--samples must lie between 2 and the 100"):
        check_predictions(finished, num_samples=101, max_train=100)


def test_a_sample_is_ranked_by_the_influence_it_has_among_all(finished):
    table, all_images = rank(finished, max_images=40), rank(finished)
    picked = ranked_images(finished, 40)
    assert sorted(set(table["image"].to_pylist())) == picked.tolist()
    num = len(finished.training.train)
    for line in table.to_pylist():
        assert line["predicted_change"] == pytest.approx(line["influence"] / num)
    ours, scores = (
        {x["image"]: x["influence"] for x in each.to_pylist() if x["kind"] == "image"}
        for each in (table, all_images)
    )
    both = [(ours[image], scores[image]) for image in ours]
    # H averages over a sample in the one and over all images in the other.
    assert torch.corrcoef(torch.tensor(both).T)[0, 1] > 0.95


@pytest.mark.parametrize("max_images", [None, 300])
def test_the_view_that_is_shown_is_the_one_that_was_scored(finished, max_images):
    picked = ranked_images(finished, max_images)
    images = finished.training.train.images[picked]
    chunks = range(-(-len(images) // 250))
    h1, _ = inputs(_snapshot(finished, 1), images, chunks, view=0)
    for place in (3, 251):
        x, x_aug = ranked_view(finished, int(picked[place]), 1, max_images)
        assert (255 * x).round().byte().equal(images[place])
        seen, _ = head_inputs(finished.training.classifier, x_aug[None], batch_size=1)
        torch.testing.assert_close(seen[0], h1[place], atol=1e-4, rtol=1e-4)


def test_a_ranking_has_every_image_and_view_and_sums_as_the_theory_says(finished):
    table = rank(finished, num_draws=2)
    num = len(finished.training.train)
    assert table.schema.equals(SCHEMA)
    kinds = table["kind"].to_pylist()
    assert [kinds.count(kind) for kind in ("image", "augmentation")] == [num, 2 * num]
    for kind in ("image", "augmentation"):
        helpful, harmful = extremes(table, kind, 3)
        low, high = helpful["influence"].to_pylist(), harmful["influence"].to_pylist()
        assert low == sorted(low)
        assert high == sorted(high, reverse=True)
        assert low[0] < 0 < high[0]
    changes = torch.tensor(table["predicted_change"].to_pylist())
    torch.testing.assert_close(
        changes * num, torch.tensor(table["influence"].to_pylist())
    )


def test_commands_write_what_they_say(finished_run, capsys):
    arguments = [str(finished_run), "--method", "base_learned"]
    more = ["--samples", "4", "--max-train", "100"]
    assert main(["influence", "validate", *arguments, *more]) == 0
    said = capsys.readouterr().out
    assert "Pearson" in said
    assert "gradient norm at the live head" in said
    found = json.loads((finished_run / "influence-base_learned-seed0.json").read_text())
    assert len(found["actual"]) == 4
    with Image.open(finished_run / "influence-base_learned-seed0.png") as picture:
        assert picture.width > 300
    page = write_report(finished_run).read_text()
    assert "head refitted (base_learned, seed 0)" in page
    assert main(["influence", "rank", *arguments, "--top", "2"]) == 0
    assert capsys.readouterr().out.count("most helpful") == 2
    file = finished_run / "influence-base_learned-seed0.parquet"
    assert pq.read_schema(file).names == SCHEMA.names
    assert b"damping" in pq.read_schema(file).metadata[b"infaug"]


def test_the_check_at_the_end_of_a_run_is_small_and_never_fails_it(
    finished_run, monkeypatch
):
    monkeypatch.setattr(influence, "MAX_UNKNOWNS_IN_RUN", 10)
    assert "the head is large" in check_in_run(finished_run)[0]


def test_a_method_that_was_not_run_is_refused(finished_run, capsys):
    command = ["influence", "rank", str(finished_run), "--method", "base"]
    assert main(command) == BAD_INPUT
    assert "has no finished training of method base" in capsys.readouterr().err
