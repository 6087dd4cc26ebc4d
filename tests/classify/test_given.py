"""A module of the user's as F, and networks whose early layers are frozen."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.functional import to_pil_image

import infaug
from infaug.classify.backbone import LastPart, build_backbone
from infaug.classify.batchnorm import GroupedBatchNorm
from infaug.classify.given import Given, find_head, offered
from infaug.classify.network import build_classifier
from infaug.cli.main import main
from infaug.data.digits import digits

X = torch.rand(2, 3, 8, 8)


class Net(nn.Module):
    """A usual module: features, then one of two linear layers."""

    def __init__(self, bias=True, **layers):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.hidden = nn.Linear(4, 5)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(5, 3, bias=bias)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def features(self, x):
        x = self.norm(self.conv(x)).relu().mean((2, 3))
        return self.drop(self.hidden(x).relu())

    def forward(self, x):
        return self.fc(self.features(x))


class Softmaxed(Net):
    def forward(self, x):
        return super().forward(x).softmax(1)


class Functional(Net):
    def forward(self, x):
        return F.linear(self.features(x), self.fc.weight)


def build(model, head=None, channels=3, num_classes=3):
    with offered(Given(model, find_head(model, X, head))):
        return build_classifier("given", channels, num_classes, 0)


def test_head_and_body_make_up_the_model():
    model = Net().eval()
    model(X)
    ours = build(model).eval()
    ours.mean.zero_()
    ours.std.fill_(1)
    assert torch.allclose(ours(X), model(X), atol=1e-6)
    assert ours.features(X).shape == (2, 5)
    assert torch.allclose(ours.head(ours.features(X)), ours(X))


def test_the_model_itself_is_not_touched():
    model = Net()
    before = copy.deepcopy(model.state_dict())
    classifier = build(model)
    classifier.train()(X)
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())
    assert isinstance(model.fc, nn.Linear)
    assert model.training


def test_batch_normalisation_is_by_groups_and_keeps_its_statistics():
    model = Net()
    model.norm.running_mean.fill_(0.25)
    (norm,) = [m for m in build(model).modules() if isinstance(m, GroupedBatchNorm)]
    assert norm.running_mean.tolist() == [0.25] * 4


def test_dropout_draws_by_forward_pass_and_repetition():
    model = Net()
    one, two = build(model).train(), build(model).train()
    torch.manual_seed(1)
    first = one(X)
    torch.manual_seed(2)
    assert two(X).equal(first)
    assert not two(X).equal(first)
    one.load_state_dict(two.state_dict())
    assert one(X).equal(two(X))


def test_a_part_that_holds_the_head_may_be_named():
    model = Net(fc=nn.Sequential(nn.Dropout(), nn.Linear(5, 3)))
    assert find_head(model, X) == find_head(model, X, "fc") == "fc.1"


def test_a_batch_norm_with_its_activation_is_taken_as_the_two():
    class Both(nn.BatchNorm2d):
        def __init__(self, num):
            super().__init__(num)
            self.drop, self.act = nn.Identity(), nn.ReLU()

        def forward(self, x):
            return self.act(super().forward(x))

    model = Net(norm=Both(4)).eval()
    ours = build(model).eval()
    ours.mean.zero_()
    ours.std.fill_(1)
    assert torch.allclose(ours(X), model(X), atol=1e-6)


def test_parameters_that_were_frozen_stay_frozen():
    model = Net()
    model.conv.requires_grad_(False)
    fixed = {k for k, p in build(model).requires_grad_(True).named_parameters()
             if not p.requires_grad}  # fmt: skip
    assert fixed == {"body.conv.weight", "body.conv.bias"}


def tied():
    model = Net(extra=nn.Linear(5, 3))
    model.extra.weight = model.fc.weight
    return model


class Odd(nn.BatchNorm2d):
    pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Softmaxed(), "no layer is the last linear layer.*hidden, fc.*without softmax"),
        (Functional(), "no layer is the last linear layer"),
        (Net(conv=nn.Conv2d(1, 4, 3)), "cannot take images of 3x8x8.*data.mode"),
        (Net(fc=nn.Flatten(0)), "not logits"),
        (Net(spare=nn.BatchNorm2d(4)), "'spare' takes no part"),
        (Net(norm=nn.BatchNorm2d(4, track_running_stats=False)), "track_running_stats"),
        (Net(norm=Odd(4)), "'norm' is a Odd"),
        (tied(), "share their memory"),
    ],
)
def test_a_model_that_cannot_be_f_is_refused_with_the_reason(model, message):
    with pytest.raises(ValueError, match=message):
        find_head(model, X)


def test_a_head_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"head='hidden' is the last.*is there"):
        find_head(Net(), X, "hidden")


def test_a_head_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="3 outputs, and the images have 7 classes"):
        build(Net(), num_classes=7)


def test_a_run_of_a_given_model_says_where_it_is_known():
    with pytest.raises(ValueError, match=r"known only there: call infaug\.fit"):
        build_classifier("given", 3, 3, 0)


pytest.importorskip("timm")

NETWORKS = ["torchvision:resnet18", "timm:test_vit3", "timm:test_convnext"]

STEPS = {
    "seeds": 1,
    "threads": 1,
    "methods": ("pooled_even",),
    "classifier": {
        "batch_size": 4, "batch_groups": 2, "precision": "float32", "frozen_views": 2,
    },
    "rounds": {"rounds": 1, "classifier_steps": 2},
    "data.folds": 0,
    "shown": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of each network, random ones in a file."""
    folder = tmp_path_factory.mktemp("weights")
    for network in NETWORKS:
        body = build_backbone(network, 3, 0).body
        tensors = {k: v.contiguous() for k, v in body.state_dict().items()}
        save_file(tensors, folder / f"{network.partition(':')[2]}.safetensors")
    return folder


def some(start, stop):
    """Images of three classes, these of each."""
    whole = digits(image_size=32)
    of_each = [(whole.labels == k).nonzero()[start:stop, 0] for k in range(3)]
    at = torch.cat(of_each)
    return whole.images[at], whole.labels[at]


def file_of(network, weights):
    return weights / f"{network.partition(':')[2]}.safetensors"


def fitted(network, freeze, weights, out, **more):
    pretrained = {"classifier.weights": str(file_of(network, weights))}
    settings = STEPS | pretrained | {"classifier.freeze": freeze} | more
    return infaug.fit(network, some(0, 4), some(20, 23), out=out, **settings)


def moved(network, freeze, weights, out):
    """Names of the body's tensors that training changes, and of those that stay."""
    after = fitted(network, freeze, weights, out).classifier.state_dict()
    before = load_file(file_of(network, weights))
    names = {k for k, v in before.items() if not after[f"body.{k}"].equal(v)}
    return names, before.keys() - names


@pytest.mark.parametrize("network", NETWORKS[:2])
def test_early_layers_stay_and_the_last_part_learns(network, weights, tmp_path):
    learned, stayed = moved(network, "early", weights, tmp_path / "run")
    assert learned
    assert stayed
    assert not any("running" in name for name in learned)


def test_all_layers_learn_or_the_head_alone(weights, tmp_path):
    learned, _ = moved("timm:test_convnext", "none", weights, tmp_path / "none")
    assert "stem.0.weight" in learned
    learned, _ = moved("timm:test_convnext", "body", weights, tmp_path / "body")
    assert not learned


@pytest.mark.parametrize("network", NETWORKS)
def test_the_parts_of_a_frozen_body_make_up_the_whole(network):
    classifier = build_backbone(network, 3, 0)
    x = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        whole = classifier.eval()(x)
        classifier.freeze("early")
        torch.testing.assert_close(classifier(x), whole)
        last = LastPart(classifier)(classifier.first(x))
    torch.testing.assert_close(last, whole)
    names = build_backbone(network, 3, 0).state_dict()
    assert classifier.state_dict().keys() == names.keys()


def test_a_network_that_cannot_be_cut_is_refused_with_what_works():
    with pytest.raises(ValueError, match="use --freeze body or none"):
        build_backbone("timm:test_vit", 3, 0).freeze("early")


def test_trainings_share_what_frozen_layers_make_of_a_view(weights, tmp_path):
    """Three methods, two views: no draw is computed twice, whoever needs it."""
    methods = ("base", "pooled", "pooled_trivial")
    fitted(NETWORKS[2], "body", weights, tmp_path / "a", methods=methods)
    kinds = sorted((tmp_path / "a/activations").iterdir())
    assert len(kinds) == 2
    assert all(len(list(kind.iterdir())) > 12 for kind in kinds)
    first = {f: f.stat().st_mtime_ns for kind in kinds for f in kind.iterdir()}
    fitted(NETWORKS[2], "body", weights, tmp_path / "a", methods=methods)
    assert {f: f.stat().st_mtime_ns for f in first} == first


@pytest.mark.usefixtures("undrawn")
def test_a_frozen_network_trains_from_the_command_line(weights, tmp_path, capsys):
    """Every kind of method: those that learn views forward these in every step."""
    for name, (images, labels) in {"a": some(0, 4), "b": some(20, 23)}.items():
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = tmp_path / name / str(int(label))
            folder.mkdir(parents=True, exist_ok=True)
            to_pil_image(image).save(folder / f"{k}.png")
    argv = (
        f"fit --data {tmp_path / 'a'} --target {tmp_path / 'b'} --image-size 32 "
        f"--network timm:test_convnext --weights {weights / 'test_convnext'}"
        f".safetensors --out {tmp_path / 'run'} --freeze early --seeds 1 "
        "--methods pooled pooled_learned policy_alone --num-rounds 2 "
        "--rounds.classifier-steps 1 --rounds.estimator-steps 1 --data.folds 0 "
        "--classifier.batch-size 4 --classifier.batch-groups 2 "
        "--classifier.frozen-views 2 --estimator.batch-size 4 --policy.batch-size 4 "
        "--jobs 1 --threads 1"
    )
    assert main(argv.split()) == 0
    result = json.loads(capsys.readouterr().out.split("RESULT ")[-1])
    assert {"pooled", "pooled_learned", "policy_alone"} <= set(result["methods"])
