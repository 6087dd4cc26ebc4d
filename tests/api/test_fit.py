"""`infaug.fit`: what it takes, what it returns, and that the same call goes on."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from killed import interrupted_at
from PIL import Image
from torch import nn

import infaug
from infaug.data.digits import digits
from infaug.data.source import load
from infaug.export import LearnedAugment
from infaug.record.folder import RunFolder

TINY = {
    "seeds": 1,
    "threads": 1,
    "methods": ("pooled", "pooled_learned"),
    "classifier": {"batch_size": 8, "batch_groups": 2, "precision": "float32"},
    "estimator.batch_size": 8,
    "transform.tau_size": 8,
    "rounds": {"rounds": 2, "classifier_steps": 3, "estimator_steps": 2},
    "shown": False,
}


def a_model(num_classes=10):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, 2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, num_classes),
    )


def some(start, stop):
    whole = digits(image_size=16)
    return whole.images[start:stop], whole.labels[start:stop]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    model = a_model()
    before = copy.deepcopy(model.state_dict())
    result = infaug.fit(model, some(0, 100), some(1000, 1080), out=out, **TINY)
    return result, model, before


def test_a_model_and_tensors_give_a_verdict_and_a_table(finished):
    result, _, _ = finished
    assert result.verdict in ("undecided", "no gain")
    assert "pooled_learned is" in result.sentence
    assert set(result.methods) == {"pooled", "pooled_learned"}
    row = result.methods["pooled"]
    assert len(row.seeds) == 5, "one for each fold"
    assert row.mean == pytest.approx(sum(row.seeds) / 5)
    assert "pooled_learned" in result.table
    assert result.out.is_dir()
    assert result.class_names == tuple("0123456789")


def test_the_classifier_is_trained_and_the_given_model_is_not_changed(finished):
    result, model, before = finished
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert result.answer["num_images"] == 80
    finals = [f"{name}-final" for name in result.answer["members"]]
    assert result.training == " + ".join(finals)
    images = some(0, 5)[0] / 255
    first, second = (result.classifier(images) for _ in range(2))
    assert first.shape == (5, 10)
    assert first.equal(second)
    head = result.classifier_of("pooled").head.weight
    assert not head.equal(before["6.weight"])
    assert not result.classifier_of("pooled").head.weight.equal(
        result.classifier_of("pooled_learned").head.weight
    )


def test_the_augmentation_takes_images(finished):
    result, _, _ = finished
    assert isinstance(result.augment, LearnedAugment)
    assert result.augment(some(0, 4)[0]).shape == (4, 1, 16, 16)


def test_the_same_call_returns_what_is_finished(finished):
    result, model, _ = finished
    again = infaug.fit(model, some(0, 100), some(1000, 1080), out=result.out, **TINY)
    assert again.sentence == result.sentence
    images = some(0, 5)[0] / 255
    assert again.classifier(images).equal(result.classifier(images))


def test_a_stopped_run_goes_on_to_the_same_numbers(finished, tmp_path):
    """In a new process a model begins with other weights: the run's are kept."""
    whole, model, _ = finished
    out, arguments = tmp_path / "run", {**TINY, "rounds.checkpoint_every_steps": 2}
    with interrupted_at("pooled_learned", 0, "estimate", 2):
        infaug.fit(model, some(0, 100), some(1000, 1080), out=out, **arguments)
    other = a_model()
    nn.init.zeros_(other[6].weight)
    result = infaug.fit(other, some(0, 100), some(1000, 1080), out=out, **arguments)
    assert result.methods == whole.methods
    ours, theirs = result.classifier.state_dict(), whole.classifier.state_dict()
    assert all(value.equal(theirs[name]) for name, value in ours.items())


def test_another_model_or_other_images_are_refused(finished):
    result, model, _ = finished
    wider = a_model()
    wider[3] = nn.Dropout(0.5)
    with pytest.raises(ValueError, match=r"run of another model .* settings differ"):
        infaug.fit(wider, some(0, 100), some(1000, 1080), out=result.out, **TINY)
    with pytest.raises(ValueError, match="other images than 'train' has now"):
        infaug.fit(model, some(1, 101), some(1000, 1080), out=result.out, **TINY)


class Pairs(torch.utils.data.Dataset):
    """PIL images of two sizes, as a data set of torchvision's kind has them."""

    classes = ["dark", "light"]  # noqa: RUF012

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, k):
        label = k % 2
        side = 16 if k % 3 else 20
        return Image.new("RGB", (side, side), (100 * label + k,) * 3), label


def test_a_data_set_and_a_network_by_name_need_no_more(tmp_path):
    data, used = Pairs(60), torch.utils.data.Subset(Pairs(40), range(20, 40))
    result = infaug.fit(
        "allconv", data, used, out=tmp_path / "run", **TINY, **{"data.labels": 20}
    )
    assert result.class_names == ("dark", "light")
    assert result.classifier(torch.rand(2, 3, 16, 16)).shape == (2, 2)
    assert Path(result.out / "config.json").exists()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((torch.zeros(4, 1, 8, 8) - 1, torch.arange(4)), r"train\[0\].*Normalize"),
        ((torch.zeros(4, 2, 8, 8), torch.arange(4)), r"must be \[1 or 3, H, W\]"),
        ((torch.zeros(4, 1, 8, 8), torch.arange(3)), "4 images and 3 labels"),
        (
            (torch.zeros(4, 1, 8, 8), torch.rand(4) + 0.1),
            "must be a class number or name",
        ),
        ({"train": [], "test": []}, "dictionary of train, test: give one"),
        ([], "train holds no image"),
        ([{"picture": Image.new("L", (8, 8))}], "one image and a label, got picture"),
        ([(Image.new("L", (8, 8)), 0), (Image.new("L", (8, 8)), "a")], "and others a"),
        (iter(()), "must be a path, a pair of tensors"),
        ([1, 2, 3], r"train\[0\] must be \(image, label\)"),
    ],
)
def test_what_are_no_labelled_images_is_named(tmp_path, train, message):
    with pytest.raises(ValueError, match=message):
        infaug.fit(None, train, out=tmp_path / "run", **TINY)


def test_a_call_that_came_to_nothing_does_not_block_its_folder(tmp_path):
    broken = torch.zeros(4, 1, 8, 8) - 1, torch.arange(4)
    with pytest.raises(ValueError, match="Normalize"):
        infaug.fit(None, broken, out=tmp_path / "run", **TINY)
    with pytest.raises(ValueError, match="no training image has class"):
        infaug.fit(
            None,
            (broken[0] + 1, broken[1] + 1),
            out=tmp_path / "run",
            **TINY | {"seeds": 2},
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"round": {}}, "'round' is not a setting: .*'rounds'"),
        ({"rounds": {"round": 3}}, r"'rounds\.round' is not a setting.*'rounds'"),
        ({"rounds.rounds": 0}, "rounds.rounds must be >= 1"),
        ({"rounds": 3}, "rounds must be of type RoundsConfig, or a dict"),
        ({"seeds.x": 3}, "'seeds.x' is not a setting"),
    ],
)
def test_a_setting_that_is_none_is_named(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        infaug.fit(None, some(0, 9), out=tmp_path / "run", **settings)


class Deep(Pairs):
    """Grey of 12 bits in 32-bit integers."""

    def __getitem__(self, k):
        label = k % 2
        values = np.full((16, 16), 2000 * label + 10 * k, dtype=np.int32)
        return Image.fromarray(values), label


def test_deep_grey_is_scaled_by_the_range_of_the_set(tmp_path):
    settings = {**TINY, "data": {"target": 20, "test": 20}}
    result = infaug.fit("allconv", Deep(60), out=tmp_path / "run", **settings)
    assert "taken as 12 bits" in (result.out / "images.txt").read_text()
    images = load(RunFolder(result.out).config().data).train.images
    assert images.max() == (2000 + 590) >> 4


def test_what_the_model_has_frozen_stays(tmp_path):
    model = a_model()
    model[0].requires_grad_(False)
    settings = TINY | {"methods": ("pooled",), "data.folds": 0}
    result = infaug.fit(
        model, some(0, 60), some(1000, 1060), out=tmp_path / "run", **settings
    )
    after = result.classifier.state_dict()
    assert after["body.0.weight"].equal(model[0].weight)
    assert not after["body.1.weight"].equal(model[1].weight)
