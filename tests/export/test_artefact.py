import json
import shutil

import pytest
import torch
from finished import CLASSES, trained_transform
from safetensors.torch import load_file, save_file

from infaug.export import LearnedAugment, load_classifier, read_card
from infaug.export.artefact import AUGMENT, CARD, CLASSIFIER
from infaug.record.atomic import write_json
from infaug.record.folder import RunFolder


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def change_card(folder, **changes) -> None:
    write_json(folder / CARD, json.loads((folder / CARD).read_text()) | changes)


def test_weights_come_back_as_the_run_left_them(exported, grey_run):
    augment = LearnedAugment.load(exported)
    training = augment.card["training"]
    trained = trained_transform(
        grey_run, training["method"], training["seed"]
    ).state_dict()
    loaded = augment.views.transform.state_dict()
    assert trained.keys() == loaded.keys()
    assert all(loaded[name].equal(trained[name]) for name in trained)


def test_the_classifier_is_the_trainings_and_classifies(exported, grey_run):
    classifier = load_classifier(exported)
    card = read_card(exported)
    training = card["training"]
    method, seed = training["method"], training["seed"]
    kept = RunFolder(grey_run).weights(method, seed, "classifier")
    assert all(classifier.state_dict()[name].equal(kept[name]) for name in kept)
    assert not classifier.training
    assert classifier(torch.rand(2, 1, 16, 16)).shape == (2, len(CLASSES))
    assert card["classifier"]["class_names"] == list(CLASSES)


def test_a_missing_folder_or_file_is_named(copy, tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.card\.json cannot be read"):
        LearnedAugment.load(tmp_path / "nowhere")
    (copy / AUGMENT).unlink()
    with pytest.raises(ValueError, match=r"augment\.safetensors cannot be read"):
        LearnedAugment.load(copy)


def test_a_truncated_or_changed_file_is_refused(copy):
    whole = (copy / AUGMENT).read_bytes()
    for broken in (whole[:-100], whole[:-1] + bytes([whole[-1] ^ 1])):
        (copy / AUGMENT).write_bytes(broken)
        with pytest.raises(ValueError, match=r"is not what was written \(\d+ bytes"):
            LearnedAugment.load(copy)


def listed_anew(folder, name: str) -> None:
    """Let the card describe the file as it is."""
    from infaug.export.write import _file

    files = read_card(folder)["files"] | {name: _file(folder / name)}
    change_card(folder, files=files)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "strength"}, "lacks .*strength"),
        (lambda t: t | {"more": torch.zeros(1)}, "unknown tensor 'more'"),
        (lambda t: t | {"strength": torch.zeros(2)}, r"strength is float32 \[2\]"),
        (lambda t: t | {"strength": torch.zeros((), dtype=torch.int64)}, "int64"),
    ],
)
def test_weights_that_do_not_fit_the_settings_are_named(copy, changed, message):
    save_file(changed(load_file(copy / AUGMENT)), copy / AUGMENT)
    listed_anew(copy, AUGMENT)
    with pytest.raises(ValueError, match=message):
        LearnedAugment.load(copy)


def test_what_is_no_safetensors_file_is_refused(copy):
    (copy / CLASSIFIER).write_bytes(b"\x80\x04K*.")  # a pickle
    listed_anew(copy, CLASSIFIER)
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_classifier(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "is no card"),
        ({"format_version": 99}, "format_version 99"),
        ({"files": {}}, "does not list augment.safetensors"),
        ({"image": None}, "lacks 'image'"),
        ({"image": {"channels": 1, "height": 16, "width": "16"}}, "image.width"),
        (
            {"image": {"channels": 3, "height": 16, "width": 16}},
            "by the settings beside it: export it again",
        ),
        ({"transform": {"tau_size": 0}}, "transform: transform.tau_size must be >= 1"),
        ({"estimator": {"colour": 1}}, "estimator: colour is not a setting"),
    ],
)
def test_a_card_that_cannot_be_read_says_why(copy, changes, message):
    change_card(copy, **changes)
    with pytest.raises(ValueError, match=message):
        LearnedAugment.load(copy)
