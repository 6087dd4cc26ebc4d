"""Which trainings an experiment consists of, and what each takes from the others.

Those of `base_tuned` begin with a trial of every candidate: `base` for part of the
steps. They never see test images.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from infaug.augment.base import joined
from infaug.config import RunConfig
from infaug.record.folder import RunFolder
from infaug.training.methods import FEATURES_OF, GENERATOR, POLICY_FROM, Method
from infaug.training.train import Inputs, TrainingSpec
from infaug.training.views import base_of

TRIAL = "tuning-"  # what names of methods begin with that try a candidate


def plan_trainings(
    config: RunConfig, methods: Iterable[Method], seeds: Iterable[int]
) -> list[TrainingSpec]:
    """All trainings in the order in which they run: what one needs comes before it.

    Raises:
        ValueError: if a method does not go with the base or the settings.
    """
    methods = _with_generator(list(methods), config)
    for method in methods:
        base_of(method, config.rounds.base)  # What cannot be is refused at once.
    plan = []
    for seed in seeds:
        tuned = [method for method in methods if method.is_tuned]
        for method in methods:
            if method in tuned[:1]:  # They choose from the same candidates.
                plan += [
                    TrainingSpec(
                        method=trial_method(candidate),
                        seed=seed,
                        config=trial_config(config, candidate),
                        candidate=candidate,
                        sees_test=False,
                    )
                    for candidate in config.tuning.candidates
                ]
            plan.append(TrainingSpec(method=method, seed=seed, config=config))
    return plan


def name_of(spec: TrainingSpec) -> tuple[str, int]:
    """What tells a training from the others of its plan: method and seed."""
    return spec.method.name, spec.seed


def needed_by(spec: TrainingSpec) -> set[tuple[str, int]]:
    """Names of the trainings that must be finished before this one can begin."""
    names = {name for name, _ in _taken_by(spec).values()}
    if spec.method.is_tuned:
        names |= {trial_method(each).name for each in spec.config.tuning.candidates}
    return {(name, spec.seed) for name in names}


def _taken_by(spec: TrainingSpec) -> dict[str, tuple[str, str]]:
    """What a training takes: for each of its `Inputs` the method and its part."""
    method, config = spec.method, spec.config
    taken = {}
    if method.control is not None and config.rounds.s_val == "once":
        taken["driver"] = (method.control, "classifier")
    if method.generator == "final":
        taken["generator"] = ("base_learned", "transform")
    elif method.uses_generator and config.adversarial.fit != "none":
        taken["generator"] = (GENERATOR.name, "generator")
    if method.policy == "learned":
        taken["policy"] = (POLICY_FROM, "policy")
    if spec.fits_generator and config.adversarial.fit == "ragan":
        taken["features"] = (FEATURES_OF, "classifier")
    return taken


def resolve(spec: TrainingSpec, folder: RunFolder) -> tuple[TrainingSpec, Inputs]:
    """The training as those before it decide, and what it takes from them."""
    notes: dict[str, Any] = {}
    if spec.method.is_tuned:
        trials = {
            candidate: folder.found(trial_method(candidate).name, spec.seed)
            for candidate in spec.config.tuning.candidates
        }
        base, scores = choose(trials), ("selection_top1", "selection_loss")
        tried = {name: {s: trials[name][s] for s in scores} for name in trials}
        notes = {"base": base, "candidates": tried}
        rounds = replace(spec.config.rounds, base=base)
        spec = replace(spec, config=replace(spec.config, rounds=rounds))
    taken = {
        name: folder.weights(method, spec.seed, part)
        for name, (method, part) in _taken_by(spec).items()
    }
    if spec.method.generator == "final":  # of E and G, which are kept together
        taken["generator"] = {
            name.removeprefix("generator."): tensor
            for name, tensor in taken["generator"].items()
            if name.startswith("generator.")
        }
    return spec, Inputs(notes=notes, **taken)


def _with_generator(methods: list[Method], config: RunConfig) -> list[Method]:
    """The methods, and `generator` where G is fitted: first, or once F has features."""
    fit = config.adversarial.fit
    if fit == "none" or not any(method.uses_generator for method in methods):
        return methods
    at = 0
    if fit == "ragan":
        at = [method.name for method in methods].index(FEATURES_OF) + 1
    return [*methods[:at], GENERATOR, *methods[at:]]


def candidates_for(base: str) -> tuple[str, ...]:
    """What `base_tuned` chooses from, where the config names nothing.

    For `affine`: rotation up to 20, 40 or 60 degrees, and the middle one followed by
    RandAugment, TrivialAugment, changes of light, blur or inversion. For others: the
    base alone, and followed by rotations and by the same.
    """
    others = ["randaugment:9", "trivial", "jitter:0.5", "blur:1.5", "invert:0.5"]
    if base == "affine":
        grid = [f"affine:{degrees}x1" for degrees in (20, 40, 60)]
        return (*grid, *(joined("affine:40", part) for part in others))
    parts = ["affine:20", "affine:40", *others]
    return (base, *(parts if base == "none" else [joined(base, p) for p in parts]))


def trial_method(candidate: str) -> Method:
    """The method under which a candidate is tried: `base`, with a name of its own."""
    name = TRIAL + candidate.replace(":", "").replace("+", "-")
    return Method(name=name, views=("base", "base"), is_trial=True)


def trial_config(config: RunConfig, candidate: str) -> RunConfig:
    """The candidate as base, and the first part of the steps on a whole cosine."""
    rounds = config.rounds
    steps = round(config.tuning.fraction * rounds.rounds * rounds.classifier_steps)
    short = replace(
        rounds,
        base=candidate,
        rounds=1,
        classifier_steps=max(steps, 1),
        refresh="sync",  # Nothing is refreshed, and no lag has to fit in.
    )
    return replace(config, rounds=short)


def choose(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The candidate with the best accuracy on selection; of equal ones the lowest loss.

    >>> results = {"a": (90, 0.5), "b": (95, 0.4), "c": (95, 0.3)}
    >>> choose({k: {"selection_top1": a, "selection_loss": l}
    ...         for k, (a, l) in results.items()})
    'c'
    """

    def merit(candidate: str) -> tuple[float, float]:
        result = found[candidate]
        return result["selection_top1"], -result["selection_loss"]

    return max(found, key=merit)
