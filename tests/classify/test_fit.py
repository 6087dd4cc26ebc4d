import copy
import warnings
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.optim import SGD, AdamW, Optimizer

from infaug.classify.evaluate import evaluate
from infaug.classify.fit import build_optimizer, fit_classifier
from infaug.classify.network import build_classifier
from infaug.config import ClassifierConfig
from infaug.state import learning_state
from infaug.types import Views
from infaug.world import World

CONFIG = ClassifierConfig(
    network="allconv",
    batch_size=8,
    batch_groups=1,
    optimizer="adam",
    learning_rate=1e-2,
    precision="float32",
    channels_last=False,
)
Y = torch.eye(2)[[0, 1] * 4]


def two_bright_halves(step: int) -> Views:
    """Class 0 is bright on the left, class 1 on the right."""
    x = torch.rand(8, 2, 1, 8, 8, generator=torch.Generator().manual_seed(step)) / 4
    x[0::2, :, :, :, :4] += 0.5
    x[1::2, :, :, :, 4:] += 0.5
    return Views(x, torch.stack([Y, Y], dim=1), torch.full((8, 2), 0.5))


def fresh():
    return build_classifier("allconv", 1, 2, 0)


def fit(classifier, steps: range, views=two_bright_halves, config=CONFIG, **more):
    """Steps of a schedule of thirty, by an optimizer of its own unless one is given."""
    optimizer = more.pop("optimizer", None) or build_optimizer(classifier, config)
    return fit_classifier(
        classifier, optimizer, views, steps, config, num_steps=30, world=World(), **more
    )


def fitted(steps: range, views=two_bright_halves, config=CONFIG):
    classifier = fresh()
    return classifier, list(fit(classifier, steps, views, config))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_learns_a_separable_problem(optimizer):
    config = replace(CONFIG, optimizer=optimizer, learning_rate=0.01)
    classifier, done = fitted(range(30), config=config)
    assert done[-1][1]["loss"] < done[0][1]["loss"] / 2
    images = (two_bright_halves(99).x[:, 0] * 255).byte()
    found = evaluate(classifier.eval(), images, Y.argmax(dim=1))
    assert found.accuracy == 100


def test_the_learning_rate_is_a_function_of_the_step_alone():
    _, whole = fitted(range(6))
    _, part = fitted(range(3, 6))
    rates = [metrics["learning_rate"] for _, metrics in whole]
    assert rates[3:] == [metrics["learning_rate"] for _, metrics in part]
    assert rates == sorted(rates, reverse=True)


def test_norms_and_biases_can_be_left_out_of_weight_decay():
    config = replace(CONFIG, weight_decay=0.1, decay_norms=False)
    classifier = fresh()
    optimizer = build_optimizer(classifier, config)
    decays = {
        id(p): group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }
    for name, parameter in classifier.named_parameters():
        assert decays[id(parameter)] == (0.1 if parameter.ndim > 1 else 0), name
    _, done = fitted(range(2), config=config)
    assert optimizer.param_groups[1]["lr"] == done[0][1]["learning_rate"] == 1e-2


def test_layers_have_rates_that_grow_towards_the_head():
    config = replace(CONFIG, layer_decay=0.01, decay_norms=False)
    classifier = fresh()
    optimizer = build_optimizer(classifier, config)
    list(fit(classifier, range(1), config=config, optimizer=optimizer))
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    found = [rates[id(p)] for p in classifier.parameters()]
    assert found == sorted(found)
    assert found[0] == pytest.approx(1e-4)
    assert found[-1] == pytest.approx(1e-2)


def test_label_smoothing_is_torchs():
    classifier = fresh().train()
    x = two_bright_halves(0).x[:, 0]
    expected = cross_entropy(classifier(x), Y.argmax(dim=1), label_smoothing=0.2)

    def one_view(_: int) -> Views:
        return Views(x[:, None], Y[:, None], torch.ones(8, 1))

    _, done = fitted(range(1), one_view, replace(CONFIG, label_smoothing=0.2))
    assert done[0][1]["loss"] == pytest.approx(float(expected.detach()), rel=1e-6)


def test_the_average_follows_the_weights_and_forgets_the_first_ones():
    config = replace(CONFIG, ema=0.5)
    classifier = fresh()
    average = copy.deepcopy(classifier)
    expected = average.state_dict()
    for step, _ in fit(classifier, range(12), config=config, average=average):
        kept = min(0.5, (1 + step) / (10 + step))
        now = classifier.state_dict()
        expected = {
            name: kept * mean + (1 - kept) * now[name]
            if mean.is_floating_point() else now[name].clone()
            for name, mean in expected.items()
        }  # fmt: skip
    torch.testing.assert_close(dict(average.state_dict()), expected)


def broken_at(bad: int):
    def views_at(step: int) -> Views:
        views = two_bright_halves(step)
        spoiled = float("nan") if step == bad else 1.0
        return Views(views.x * spoiled, views.y, views.weights)

    return views_at


def state_after(optimizer: Optimizer, classifier, views, steps: range):
    """F and the optimizer's state after these steps; whoever looks may be told."""
    with suppress(ValueError):
        list(fit(classifier, steps, views, optimizer=optimizer))
    return learning_state("f", classifier, optimizer)


def adam(classifier, *, fused: bool) -> Optimizer:
    """As on a CPU; or with the kernels of a GPU, which refuse a step by themselves."""
    return AdamW(classifier.parameters(), 1e-2, fused=fused)


def nesterov(classifier, *, fused: bool) -> Optimizer:
    return SGD(classifier.parameters(), 1e-2, 0.9, nesterov=True, fused=fused)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("build", [adam, nesterov])
def test_a_step_that_is_not_finite_and_all_after_it_move_nothing(build, fused):
    ended, spoiled = fresh(), fresh()
    before = state_after(build(ended, fused=fused), ended, broken_at(-1), range(2))
    after = state_after(build(spoiled, fused=fused), spoiled, broken_at(2), range(5))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if not name.endswith("num_batches_tracked"):
            assert after[name].equal(tensor), name


def test_a_nan_is_told_to_whoever_looks_and_else_at_the_last_step():
    steps = fit(fresh(), range(4), broken_at(1))
    _, first = next(steps)
    assert first["loss"] > 0
    next(steps)
    _, later = next(steps)  # its own batch is sound
    with pytest.raises(ValueError, match=r"classifier: the loss is nan.*learning_rate"):
        dict(later)
    next(steps)
    with pytest.raises(ValueError, match="classifier: the loss is nan"):
        next(steps)


def test_evaluation_divides_once_so_uneven_batches_do_not_matter():
    classifier, _ = fitted(range(2))
    images = (torch.rand(7, 1, 8, 8) * 255).byte()
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0])
    whole = evaluate(classifier.eval(), images, labels)
    parts = evaluate(classifier, images, labels, batch_size=3)
    assert whole.loss == pytest.approx(parts.loss, rel=1e-6)
    assert whole.accuracy == parts.accuracy


# Adam's first steps have the sign of a gradient, however small.
SLOW_AND_STEADY = replace(CONFIG, optimizer="sgd", batch_groups=4)


def normalised(parts: int):
    return fitted(range(3), config=replace(SLOW_AND_STEADY, microbatches=parts))


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_a_batch_in_parts_learns_what_the_whole_batch_does(parts):
    (whole, done), (parted, parted_done) = normalised(1), normalised(parts)
    for (_, a), (_, b) in zip(done, parted_done, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(parted.state_dict()[name], tensor, msg=name)


def test_a_batch_that_does_not_fit_goes_through_in_more_parts(monkeypatch):
    whole, _ = normalised(1)
    classifier = fresh()
    features, largest = classifier.features, 8  # rows of two views; 16 are too many

    def limited(x):
        if len(x) > largest:
            raise torch.OutOfMemoryError("no room")
        return features(x)

    monkeypatch.setattr(classifier, "features", limited)
    config = SLOW_AND_STEADY
    optimizer = build_optimizer(classifier, config)

    def learn(steps: range) -> None:
        list(fit(classifier, steps, config=config, optimizer=optimizer))

    with pytest.warns(UserWarning, match="2 parts from here on"):
        learn(range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(range(2, 3))  # The next round knows it.
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(classifier.state_dict()[name], tensor, msg=name)


def test_views_that_do_not_fit_are_made_again_and_then_refused():
    failing = [True, False, True, True]

    def views_at(step: int) -> Views:
        if failing.pop(0):
            raise torch.OutOfMemoryError("no room")
        return two_bright_halves(step)

    steps = fit(fresh(), range(2), views_at)
    assert next(steps)[0] == 0
    with pytest.raises(ValueError, match=r"views of a batch.*batch-size"):
        next(steps)


def test_one_group_that_does_not_fit_is_told(monkeypatch):
    def never(_):
        raise torch.OutOfMemoryError("no room")

    classifier = fresh()
    monkeypatch.setattr(classifier, "features", never)
    with pytest.raises(ValueError, match=r"--classifier\.batch-groups"):
        list(fit(classifier, range(1)))


def test_balanced_accuracy_counts_every_class_alike_and_leaves_out_absent_ones():
    logits = torch.eye(4)[[0, 0, 0, 0, 1, 0]]
    images = torch.zeros(6, 1, 1, 1, dtype=torch.uint8)
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    found = evaluate(lambda x: logits[: len(x)], images, labels)
    assert found.by_class == (100, 50, None, None)
    assert found.balanced == 75
    assert found.accuracy == pytest.approx(100 * 5 / 6)
