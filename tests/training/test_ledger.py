"""What E does to images is written down, and can be checked by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from killed import contents
from resolved import training_of
from tiny import CONFIG, tiny

from infaug.config import AffineRanges
from infaug.data.dataset import to_float
from infaug.experiment.run import run
from infaug.randomness import RandomNumbers, generator
from infaug.record.ledger_file import SCHEMA, read_ledger
from infaug.training.ledger import Ledger, shown
from infaug.training.state import Training
from infaug.transform.affine_flows import compose, random_parameters
from infaug.transform.fields import Fields, recolour

NUM = 7


def with_ledger(images: int | None, **rounds):
    settings = replace(CONFIG.rounds, ledger_images=images, **rounds)
    return tiny(controls="none", rounds=settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("ledger") / "run"
    run(with_ledger(NUM), out, shown=False)
    return out


@pytest.fixture(scope="module")
def training_and_ledger(splits) -> tuple[Training, Ledger]:
    """A pooled training with some S, nothing trained."""
    training = training_of("pooled_learned", splits, with_ledger(NUM))
    training.s_val = torch.randn(training.s_val.shape, generator=generator(0, "some S"))
    training.classifier.eval()
    return training, Ledger(training, splits)


def test_a_learned_training_has_a_line_for_each_image_and_round_in_which_e_learned(
    finished,
):
    table = read_ledger(finished)
    assert table.schema.equals(SCHEMA)
    rounds = CONFIG.rounds.rounds - 1  # E does not learn in the last one.
    assert len(table) == 2 * rounds * NUM
    assert set(table["method"].to_pylist()) == {"base_learned", "pooled_learned"}
    assert len(read_ledger(finished, "base_learned", 0)) == rounds * NUM
    assert {len(tau) for tau in table["tau"].to_pylist()} == {CONFIG.transform.tau_size}


def test_the_lines_name_the_very_images_of_the_source_spread_over_all(finished, splits):
    lines = read_ledger(finished, "pooled_learned").to_pylist()
    where = {"train": splits.at.train, "influence": splits.at.influence}
    pooled = splits.pooled
    assert {line["split"] for line in lines} == {"train", "influence"}
    for line in lines:
        assert line["source_index"] in where[line["split"]]
        assert line["label"] == int(pooled.labels[line["image"]])
        assert line["class_name"] == pooled.class_names[line["label"]]
    assert lines[0]["image"] == 0
    assert lines[-1]["image"] >= len(pooled) * (NUM - 1) // NUM


def test_the_file_explains_its_columns_and_how_it_was_made(finished, splits):
    path = next(finished.glob("ledger/base_learned-seed0/round-000.parquet"))
    schema = pq.read_schema(path)
    assert all(field.metadata[b"about"] for field in schema)
    assert schema.field("influence").metadata[b"unit"] == b"nats per unit weight"
    about = json.loads(schema.metadata[b"infaug"])
    assert about["num_train"] == len(splits.train)
    assert about["strength"] == 1.0


def test_losses_and_influence_are_those_of_f_and_s_at_the_images_of_the_line(
    training_and_ledger, tmp_path
):
    training, ledger = training_and_ledger
    (tmp_path / "a.parquet").write_bytes(ledger.of_round(0))
    lines = pq.read_table(tmp_path / "a.parquet").to_pylist()
    head = training.classifier.head
    for line in lines[:2] + lines[-1:]:
        x = to_float(training.train.images[line["image"]][None])
        fields = training.transform.generator.unbounded(torch.tensor([line["tau"]]))
        losses, slopes = [], []
        for image in (x, training.transform.render(x, fields)):
            logits = head(training.classifier.features(image))
            loss = torch.nn.functional.cross_entropy(
                logits, torch.tensor([line["label"]])
            )
            weight, bias = torch.autograd.grad(loss, [head.weight, head.bias])
            gradient = torch.cat([weight, bias[:, None]], dim=1)
            losses.append(loss.item())
            slopes.append(-float((training.s_val * gradient).sum()))
        assert line["loss_before"] == pytest.approx(losses[0], rel=1e-4)
        assert line["loss_after"] == pytest.approx(losses[1], rel=1e-4)
        assert line["influence"] == pytest.approx(slopes[1] - slopes[0], abs=1e-4)


def test_the_numbers_for_the_eye_are_those_of_the_affine_map_that_is_shown():
    parameters = random_parameters(RandomNumbers.of_size(5, "shown"), AffineRanges())
    affine = compose(parameters, 8, 8)
    matrix = (affine[:, :, :2] - torch.eye(2)).flatten(1)
    grey = torch.rand(5, 1, 1, 1, generator=generator("grey")).expand(5, 3, 8, 8)
    mix = torch.randn(5, 9, 8, 8, generator=generator("mix")) / 9
    bias = torch.randn(5, 3, 8, 8, generator=generator("bias")) / 9
    fields = Fields(
        matrix=matrix[:, :, None, None].expand(5, 4, 8, 8),
        offset=affine[:, :, 2, None, None].expand(5, 2, 8, 8),
        filter=mix,
        bias=bias,
    )
    found = shown(fields)
    close = {"rtol": 1e-3, "atol": 1e-3}
    torch.testing.assert_close(found["rotation_deg"], parameters.rotation_deg, **close)
    torch.testing.assert_close(found["scale_y"], parameters.scale[:, 1], **close)
    shift = parameters.translation[:, 0]
    torch.testing.assert_close(found["translation_x"], shift, **close)
    assert float(found["not_affine"].max()) < 1e-5
    expected = recolour(grey, mix, bias).mean(dim=(1, 2, 3))
    means = found["contrast"] * grey.mean(dim=(1, 2, 3)) + found["brightness"]
    torch.testing.assert_close(means, expected, **close)


def test_a_flow_that_is_not_affine_says_how_far_it_is():
    zero = torch.zeros(1, 1, 8, 8)
    bent = torch.zeros(1, 2, 8, 8)
    bent[:, 0, ::2], bent[:, 0, 1::2] = 0.2, -0.2  # a tenth of a side, to and fro
    fields = Fields(zero.expand(1, 4, 8, 8), bent, zero, zero)
    assert float(shown(fields)["not_affine"]) == pytest.approx(0.1, rel=0.05)


def test_without_a_ledger_a_run_has_the_same_numbers(finished, tmp_path):
    run(with_ledger(0), tmp_path / "run", shown=False)
    plain, written = contents(tmp_path / "run"), contents(finished)
    about = ("asked.json", "config.json")
    extra = {name for name in written if name.startswith("ledger/")}
    assert extra == set(written) - set(plain)
    assert all(plain[name] == written[name] for name in plain if name not in about)
    with pytest.raises(ValueError, match=r"--rounds\.ledger-images"):
        read_ledger(tmp_path / "run")
