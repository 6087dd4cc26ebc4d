import pytest
import torch
from torch import nn

from infaug.classify.network import build_classifier
from infaug.classify.wide_resnet import PreActivationBlock


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
