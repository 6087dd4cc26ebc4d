"""What a training begins with, sees and keeps; recipes without a learned view."""

from dataclasses import replace

import pytest
import torch
from resolved import resolved, training_of
from tiny import CONFIG, tiny
from torch.nn.functional import cross_entropy

from infaug.classify.network import build_classifier
from infaug.data.dataset import to_float
from infaug.data.shift import apply_shift
from infaug.estimate.learned_transform import draw_view
from infaug.experiment.run import run
from infaug.experiment.trainings import plan_trainings
from infaug.randomness import RandomNumbers
from infaug.record.folder import RunFolder
from infaug.training import train
from infaug.training.alternation import classify, estimate, refresh, teach_policy
from infaug.training.methods import METHODS
from infaug.training.refresher import build_refresher, fit_head_first
from infaug.training.snapshot import validation_gradient
from infaug.training.solve import take_snapshot
from infaug.training.state import Training, _pooled_evenly
from infaug.training.views import late_step
from infaug.world import World


def test_methods_of_one_seed_begin_with_the_same_networks_and_see_the_same_base_view(
    splits,
):
    trainings = [training_of(method, splits) for method in ("base", "base_learned")]
    states = [c.classifier.state_dict() for c in trainings]
    assert all(states[0][k].equal(states[1][k]) for k in states[0])
    views = [c.views_at(3).x[:, 0] for c in trainings]
    assert views[0].equal(views[1])


def test_the_last_layer_fits_before_the_others_learn(splits):
    training = training_of("pooled_head_first", splits)
    before = {k: v.clone() for k, v in training.classifier.state_dict().items()}
    training.classifier.eval()
    x, y = to_float(training.train.images), training.train.labels
    loss = cross_entropy(training.classifier(x), y)
    fit_head_first(training)
    after = training.classifier.state_dict()
    assert {k for k in after if not after[k].equal(before[k])} == {
        "head.weight",
        "head.bias",
    }
    assert cross_entropy(training.classifier(x), y) < loss - 0.002
    fitted = [after[f"head.{part}"].clone() for part in ("weight", "bias")]
    fit_head_first(training)
    again = [training.classifier.head.weight, training.classifier.head.bias]
    torch.testing.assert_close(again, fitted, rtol=1e-3, atol=1e-5)


def test_more_views_are_those_of_the_method_in_turn(splits):
    config = replace(CONFIG, classifier=replace(CONFIG.classifier, views=4))
    training = training_of("base_learned", splits, config)
    more, two = training.views_at(3), training_of("base_learned", splits).views_at(3)
    assert more.x.shape[1] == len(training.augments) == 4
    assert more.x[:, :2].equal(two.x)
    assert len(more.x[0].flatten(1).unique(dim=0)) == 4
    assert more.weights.eq(0.25).all()


def test_a_methods_views_go_through_what_it_adds_to_the_base(splits):
    training, base = training_of("mixup", splits), training_of("base", splits)
    views, plain = training.views_at(3), base.views_at(3)
    torch.testing.assert_close(views.y.sum(dim=2), torch.ones(8, 2))
    assert (plain.y.amax(dim=2) == 1).all()
    assert (views.y.amax(dim=2) < 1).any()
    # Each half of the batch is a group; what is mixed comes from it and has its base.
    rest = views.x[:4, 0].flatten(1) - plain.x[:4, 0].flatten(1)
    span = plain.x[:4, 0].flatten(1)
    solution = torch.linalg.lstsq(span.T, (rest + span).T)
    torch.testing.assert_close(span.T @ solution.solution, views.x[:4, 0].flatten(1).T)


def test_e_learns_on_whole_images_whatever_the_base_mixes(splits):
    trainings = [
        training_of(method, splits) for method in ("mixup_learned", "base_learned")
    ]
    (x, y, _), (x_base, y_base, _) = (c.views.estimator_batch_at(2) for c in trainings)
    assert x.equal(x_base)
    assert y.equal(y_base)


def test_mmel_soft_sees_the_original_first(splits):
    training, none = training_of("mmel_soft", splits), training_of("none", splits)
    views = training.views_at(1)
    assert views.x.shape[1] == 3
    assert views.x[:, 0].equal(none.views_at(1).x[:, 0])


@pytest.mark.parametrize(
    ("method", "message"),
    [("cutmix", "mixes images already"), ("mmel_soft", "its one original")],
)
def test_a_method_that_does_not_go_with_a_mixing_base_is_refused(method, message):
    rounds = replace(CONFIG.rounds, base="affine+mixup:0.2")
    with pytest.raises(ValueError, match=message):
        plan_trainings(
            replace(CONFIG, rounds=rounds), [METHODS["base"], METHODS[method]], [0]
        )


def test_pooled_methods_train_on_the_influence_split_too_and_others_never(splits):
    pooled, base = training_of("pooled", splits), training_of("base", splits)
    assert len(pooled.train) == len(splits.train) + len(splits.influence)
    assert len(base.train) == len(splits.train)


def test_policy_methods_lay_operations_over_the_second_base_view(splits):
    views, base = (
        training_of(r, splits).views_at(3).x for r in ("uniform_policy", "base")
    )
    assert views[:, 0].equal(base[:, 0])
    assert not views[:, 1].equal(base[:, 1])


def test_the_oracle_trains_on_images_shifted_as_the_test_images_are(splits):
    oracle, base = training_of("oracle", splits), training_of("base", splits)
    expected = apply_shift(splits.train.images, CONFIG.data.shift)
    assert oracle.train.images.equal(expected)
    assert oracle.train.labels.equal(base.train.labels)
    assert not oracle.train.images.equal(base.train.images)


@pytest.mark.parametrize(
    "method", ["base", "base_learned", "reweighted", "bilevel_learned", "policy_online"]
)
def test_a_loaded_training_goes_on_as_the_saved_one(method, splits):
    def go_on(training: Training) -> dict[str, torch.Tensor]:
        list(classify(training, 1, range(4), splits.selection))
        if training.method.solves_s_val:
            refresher = build_refresher(training, splits.influence, None)
            list(refresh(training, 1, range(1), refresher))
        if training.method.is_learned:
            list(estimate(training, 1, range(3)))
        if training.method.learns_policy:
            list(teach_policy(training, 1, range(3)))
        return {k: v.clone() for k, v in training.tensors().items()}

    saved = training_of(method, splits)
    go_on(saved)
    state = {k: v.clone() for k, v in saved.tensors().items()}
    loaded = training_of(method, splits)
    loaded.load(state)
    a, b = go_on(saved), go_on(loaded)
    assert a.keys() == b.keys()
    assert all(a[k].equal(b[k]) for k in a)


def test_the_policy_that_is_kept_is_the_mean_of_those_after_all_updates(splits):
    training = training_of("policy_online", splits)
    assert not training.weights()["policy"]["logits"].any()  # It begins uniform.
    training.s_val = torch.randn(training.s_val.shape, generator=torch.manual_seed(0))
    seen = []
    for _ in teach_policy(training, 1, range(3)):
        seen.append(training.policy.logits.detach().softmax(dim=1))
    kept = training.weights()["policy"]["logits"].softmax(dim=1)
    torch.testing.assert_close(kept, torch.stack(seen).mean(dim=0))
    assert not seen[0].allclose(seen[-1])


def test_a_diagnosis_leaves_out_h_or_what_e_sees_of_an_image(splits):
    plain, shuffled, constant, bare = (
        training_of(f"{name}_learned", splits)
        for name in ("base", "shuffled", "constant", "gradient")
    )
    x = torch.rand(4, *splits.train.image_shape, generator=torch.manual_seed(0))
    still = torch.zeros(4, plain.config.transform.tau_size)
    taus = plain.transform.tau(x, still)
    rng = RandomNumbers.of_size(4, "a")
    x_aug = shuffled.views.learned(x, rng.fork())
    noise = draw_view(plain.config.estimator, still.shape[1], 1, rng.fork()).noise
    fields = plain.transform.generator.unbounded(taus.roll(1, dims=0) + noise)
    torch.testing.assert_close(x_aug, plain.transform.render(x, fields))
    assert not plain.views.learned(x, rng.fork()).allclose(x_aug)
    for training in (constant, bare):
        list(classify(training, 0, range(2), splits.selection))
        refresher = build_refresher(training, splits.influence, None)
        list(refresh(training, 0, range(1), refresher))
        before = training.transform.tau(x, still)
        list(estimate(training, 0, range(3)))
        assert not training.transform.tau(x, still).allclose(before)
    assert len(constant.transform.tau(x, still).unique(dim=0)) == 1
    assert len(bare.transform.tau(x, still).unique(dim=0)) == 4
    gradient = validation_gradient(
        take_snapshot(
            bare.classifier.eval(), (), bare.config.influence, 0, start=bare.s_val
        ),
        splits.influence,
        world=World(),
    )
    torch.testing.assert_close(bare.s_val, gradient)


def test_batchnorm_adapts_to_images_of_all_classes_however_they_are_sorted(
    splits, monkeypatch
):
    many = replace(splits.influence, images=splits.influence.images.sort(dim=0).values)
    seen = []
    monkeypatch.setattr(train, "adapt_statistics", lambda _, x: seen.append(x))
    monkeypatch.setattr(train, "MAX_ADAPTED", len(many) // 2)
    train._adapt(
        training_of("adapted", splits),
        replace(splits, influence=many, selection_is_in_influence=True),
    )
    (x,) = seen
    assert len(many) // 4 <= len(x) <= len(many) // 2
    assert (255 * x[-1]).round().byte().equal(many.images[(len(x) - 1) * 2])


def test_random_tau_can_go_through_a_given_generator(splits):
    learned = training_of("base_learned", splits)
    with torch.no_grad():
        learned.transform.generator.linear.weight.add_(1)
    state = learned.transform.generator.state_dict()
    control = training_of("base_random_final", splits, generator=state)
    assert control.transform.generator.linear.weight.equal(state["linear.weight"])


@pytest.mark.slow
def test_a_compiled_f_learns_what_a_plain_one_does_through_a_whole_round(splits):
    def learned(compiled: bool) -> dict[str, torch.Tensor]:
        settings = replace(CONFIG.classifier, compile=compiled)
        config = replace(CONFIG, classifier=settings)
        training = training_of("base_learned", splits, config)
        list(classify(training, 0, range(3), splits.selection))
        refresher = build_refresher(training, splits.influence, None)
        list(refresh(training, 0, range(1), refresher))
        list(estimate(training, 0, range(2)))
        return training.classifier.state_dict()

    plain, compiled = learned(False), learned(True)
    assert plain.keys() == compiled.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(
            compiled[name], tensor, rtol=1e-3, atol=1e-3, msg=name
        )


def test_a_stretched_network_ignores_light_and_contrast_of_an_image():
    network = build_classifier("allconv", 1, 3, 0).eval()
    network.is_stretched = True
    x = torch.rand(4, 1, 16, 16)
    torch.testing.assert_close(network(0.4 * x + 0.3), network(x), atol=1e-5, rtol=1e-4)
    flat = torch.full((1, 1, 16, 16), 0.5)
    assert network(flat).isfinite().all()


def test_target_images_join_late_as_half_of_each_batch(splits):
    rounds = CONFIG.rounds
    training, base = training_of("late", splits), training_of("base", splits)
    first = late_step(rounds)
    assert 0 < first < rounds.rounds * rounds.classifier_steps
    before, after = training.views_at(first - 1), training.views_at(first)
    assert before.x.equal(base.views_at(first - 1).x)
    assert not after.x.equal(base.views_at(first).x)
    half = len(_pooled_evenly(splits)) - len(splits.train)
    assert half == pytest.approx(len(splits.train), rel=0.5)


def test_e_stands_still_once_its_images_are_trained_on(tmp_path):
    rounds = replace(CONFIG.rounds, rounds=4)
    run(tiny(methods=("late_learned",), rounds=rounds), tmp_path / "run", shown=False)
    lines = RunFolder(tmp_path / "run").lines("metrics.jsonl")
    assert {m["round"] for m in lines if m["phase"] == "estimate"} == {0, 1, 2}
    assert {m["round"] for m in lines if m["phase"] == "classify"} == {0, 1, 2, 3}


def test_methods_with_a_tuned_base_choose_from_the_same_candidates():
    config = resolved(CONFIG)
    methods = [
        METHODS[name] for name in ("base_tuned", "pooled_tuned", "even_stretched")
    ]
    names = [spec.method.name for spec in plan_trainings(config, methods, [0])]
    assert len(names) == len(set(names)) == 3 + len(config.tuning.candidates)
    assert names.index("pooled_tuned") > len(config.tuning.candidates)
