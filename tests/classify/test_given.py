"""A module of the user's as F, and networks whose early layers are frozen."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from infaug.classify.batchnorm import GroupedBatchNorm
from infaug.classify.given import Given, find_head, offered
from infaug.classify.network import build_classifier

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
    model.requires_grad_(False)
    learning = {k for k, p in build(model).requires_grad_(True).named_parameters()
                if p.requires_grad}  # fmt: skip
    assert learning == {"head.weight", "head.bias"}, "the head learns in any case"


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
