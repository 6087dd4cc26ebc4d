"""Images as people hold them in Python, kept as files of a run."""

import io

import pytest
import torch
import torchvision
from PIL import Image
from reading import encoded, values

from infaug.api.images import keep_images
from infaug.config import DataConfig
from infaug.data.source import load


def test_a_data_set_of_torchvision_gives_its_images_labels_and_names(tmp_path):
    for k, name in enumerate(("cat", "dog", "cat", "dog")):
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (k, 0, 0)).save(tmp_path / "set" / name / f"{k}.png")
    folder = torchvision.datasets.ImageFolder(tmp_path / "set")
    subset = torch.utils.data.Subset(folder, [3, 0])
    for given, labels, red in ((folder, [0, 0, 1, 1], [0, 2, 1, 3]),
                               (subset, [1, 0], [3, 0])):  # fmt: skip
        path = tmp_path / f"{len(given)}.parquet"
        keep_images(given, path, "train")
        train = load(DataConfig(source=str(path))).train
        assert train.class_names == ("cat", "dog")
        assert (train.labels.tolist(), values(train)) == (labels, red)


def test_images_are_turned_and_composited_as_those_of_files(tmp_path):
    upright = Image.new("L", (8, 8), 0)
    upright.paste(255, (0, 0, 4, 8))
    exif = Image.Exif()
    exif[274] = 6
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[274] = 6
    file = io.BytesIO(encoded(turned, exif=exif))
    clear = Image.new("LA", (8, 8), (7, 0))
    rows = [(upright, 0), (Image.open(file), 1), (turned, 0), (clear, 1)]
    keep_images(rows, tmp_path / "a.parquet", "train")
    images = load(DataConfig(source=str(tmp_path / "a.parquet"), mode="L")).train.images
    assert images[1].equal(images[0])
    assert images[2].equal(images[0])
    assert images[3].unique().tolist() == [255]


class Hub:
    """What `datasets.Dataset` shows of itself."""

    features = {  # noqa: RUF012
        "image": object(),
        "breed": type("ClassLabel", (), {"names": ["dark", "light"]}),
        "weight": object(),
    }

    def __len__(self):
        return 12

    def __getitem__(self, k):
        return {"image": Image.new("L", (8, 8), k), "breed": k % 2, "weight": 3.5}


def test_a_hub_data_set_gives_its_images_labels_and_names(tmp_path):
    keep_images(Hub(), tmp_path / "a.parquet", "train")
    train = load(DataConfig(source=str(tmp_path / "a.parquet"))).train
    assert train.class_names == ("dark", "light")
    assert train.labels.tolist() == [0, 1] * 6
    assert values(train) == list(range(12))


def test_a_data_set_of_the_hub_s_own_package_is_taken(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({
        "img": datasets.Image(),
        "fine": datasets.ClassLabel(names=["dark", "light"]),
        "note": datasets.Value("string"),
    })  # fmt: skip
    rows = [{"img": Image.new("L", (8, 8), k), "fine": k % 2, "note": "a"}
            for k in range(6)]  # fmt: skip
    hub = datasets.Dataset.from_list(rows, features=features)
    for name, given in {"whole": hub, "torch": hub.with_format("torch")}.items():
        keep_images(given, tmp_path / f"{name}.parquet", "train")
        train = load(DataConfig(source=str(tmp_path / f"{name}.parquet"))).train
        assert train.class_names == ("dark", "light")
        assert train.labels.tolist() == [0, 1] * 3
        assert values(train) == list(range(6))


def test_labels_may_be_names_of_classes(tmp_path):
    rows = [(Image.new("L", (8, 8), k), ("dog", "cat")[k % 2]) for k in range(4)]
    keep_images(rows, tmp_path / "a.parquet", "train")
    train = load(DataConfig(source=str(tmp_path / "a.parquet"))).train
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [1, 0, 1, 0]
