"""The one-step meta-gradient, against autograd through the step itself."""

from dataclasses import dataclass, field, replace

import pytest
import torch
from resolved import resolved, training_of
from tiny import CONFIG
from torch import Tensor
from torch.func import functional_call

from infaug.classify.network import build_classifier
from infaug.config import BilevelConfig
from infaug.data.dataset import Labelled, to_float
from infaug.estimate.learned_transform import build_transform
from infaug.estimate.lookahead import Logits, Lookahead
from infaug.influence.features import head_inputs
from infaug.influence.score import mean_head_gradient, upweight_influence
from infaug.training.alternation import estimate
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.training.train import TrainingSpec
from infaug.world import World

NUM, CLASSES, RATE = 6, 3, 0.3


@dataclass(frozen=True)
class Part(World):
    """One of several processes; what the others hold of each sum is known already."""

    others: list[Tensor] = field(default_factory=list, compare=False)

    def sum_(self, tensors):
        for own, other in zip(tensors, self.others, strict=True):
            own += other


@pytest.fixture(scope="module")
def classifier():
    return build_classifier("allconv", 1, CLASSES, 0).double().eval()


@pytest.fixture(scope="module")
def influence() -> Labelled:
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (8, 1, 8, 8), generator=rng, dtype=torch.uint8)
    return Labelled(images, torch.arange(8) % CLASSES, ("a", "b", "c"))


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(2)
    x = torch.rand(NUM, 1, 8, 8, generator=rng, dtype=torch.float64)
    y = torch.randn(NUM, CLASSES, generator=rng, dtype=torch.float64).softmax(dim=1)
    return x, y


def lookahead(classifier, influence, rate=RATE, world=None, size=5) -> Lookahead:
    return Lookahead(
        classifier, influence, BilevelConfig(rate=rate, batch_size=size), 0, "test",
        batch_size=NUM, world=world or World(),
    )  # fmt: skip


def cross_entropy(network, theta, x, y):
    return -(y * functional_call(network, theta, (x,)).log_softmax(1)).sum(1).mean()


def test_the_gradient_in_e_and_g_is_that_of_the_loss_after_the_step(
    classifier, influence, batch
):
    transform = build_transform(
        replace(CONFIG.transform, tau_size=4), 1, 8, 8, 0
    ).double()
    x, y = batch
    x_aug = transform(x, torch.zeros(NUM, 4, dtype=torch.float64))
    phi = list(transform.parameters())
    ahead = lookahead(classifier, influence)
    scores = ahead(3, x_aug, y)
    found = torch.autograd.grad(scores.mean(), phi, retain_graph=True)

    network = Logits(classifier)
    theta = {k: p.detach().requires_grad_() for k, p in network.named_parameters()}
    loss = cross_entropy(network, theta, x_aug, y)
    g = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    moved = {k: p - RATE * d for (k, p), d in zip(theta.items(), g, strict=True)}
    x_val, y_val = ahead.minibatch(3)
    after = cross_entropy(network, moved, x_val, y_val)
    expected = torch.autograd.grad(after, phi, retain_graph=True)

    # v is the sum over the minibatch there; its length cancels in the scores.
    v = torch.autograd.grad(after, list(moved.values()))
    norm = torch.cat([part.flatten() for part in v]).norm()
    assert max(float(e.abs().max()) for e in expected) > 1e-6
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(RATE * norm * a, b, rtol=1e-9, atol=1e-14)


def test_in_the_head_and_without_a_step_it_is_influence_with_h_the_identity(
    classifier, influence, batch
):
    x, y = batch
    ahead = lookahead(classifier, influence, rate=1e-12)
    ahead.theta = {k: p for k, p in ahead.theta.items() if ".head." in k}
    h1_val, probs_val = head_inputs(classifier, ahead.minibatch(0)[0], batch_size=8)
    s_val = mean_head_gradient(probs_val, ahead.minibatch(0)[1], h1_val)
    h1, probs = head_inputs(classifier, x, batch_size=NUM)
    expected = upweight_influence(s_val, probs, y, h1) / s_val.norm()
    torch.testing.assert_close(ahead(0, x, y), expected)


def test_parts_of_a_batch_have_the_scores_they_have_in_the_whole(
    classifier, influence, batch
):
    x, y = batch
    whole = lookahead(classifier, influence)(0, x, y)
    gradients = []
    for rows in (slice(0, 2), slice(2, NUM)):
        alone = lookahead(classifier, influence)
        moved = alone.after_a_step(x[rows], y[rows])
        scale = NUM / RATE
        gradients.append([(alone.theta[k] - moved[k]) * scale for k in moved])
    for rows, others in ((slice(0, 2), gradients[1]), (slice(2, NUM), gradients[0])):
        part = lookahead(classifier, influence, world=Part(others=others))
        torch.testing.assert_close(part(0, x[rows], y[rows]), whole[rows])


def test_minibatches_pass_through_the_influence_split_and_are_never_more_than_it(
    classifier, influence
):
    ahead = lookahead(classifier, influence, size=4)
    seen = torch.cat([ahead.minibatch(step)[0] for step in range(2)])
    assert len(seen.flatten(1).unique(dim=0)) == 8
    assert not ahead.minibatch(0)[0].equal(ahead.minibatch(2)[0])
    whole = lookahead(classifier, influence, size=100).minibatch(0)[0]
    assert whole.sum().isclose(to_float(influence.images).double().sum())


def test_an_f_in_training_mode_is_refused(influence):
    with pytest.raises(ValueError, match="training mode"):
        lookahead(build_classifier("allconv", 1, CLASSES, 0), influence)


def test_a_step_that_goes_too_far_is_refused_with_the_setting(
    classifier, influence, batch
):
    with pytest.raises(ValueError, match=r"bilevel\.rate: .* at 1e\+300 .* lower it"):
        lookahead(classifier, influence, rate=1e300)(0, *batch)


@pytest.fixture(scope="module")
def training(splits) -> Training:
    return training_of("bilevel_learned", splits)


def test_e_and_g_move_and_f_stays(training):
    f = {k: v.clone() for k, v in training.classifier.state_dict().items()}
    parts = training.transform.estimator, training.transform.generator
    before = [torch.cat([p.flatten() for p in n.parameters()]) for n in parts]
    done = list(estimate(training, 0, range(2)))
    assert all(torch.tensor(m["objective"]).isfinite() for m in done)
    after = [torch.cat([p.flatten() for p in n.parameters()]) for n in parts]
    assert not any(a.equal(b) for a, b in zip(after, before, strict=True))
    assert all(v.equal(f[k]) for k, v in training.classifier.state_dict().items())
    assert all(p.grad is None for p in training.classifier.parameters())


@pytest.mark.parametrize("network", ["resnet56", "resnet18"])
@pytest.mark.slow
def test_any_f_can_be_looked_through(network, batch, influence):
    f = build_classifier(network, 1, CLASSES, 0).eval()
    x, y = (t.float() for t in batch)
    x.requires_grad_()
    # An F that has not trained is steep.
    lookahead(f, influence, rate=1e-9)(0, x, y).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0


def test_no_s_val_is_solved():
    planned = TrainingSpec(
        method=METHODS["bilevel_learned"], seed=0, config=resolved(CONFIG)
    )
    assert planned.steps == {"classify": 12, "estimate": 4, "review": 1}
