"""Which trainings an experiment consists of, and what each takes from the others."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import Tensor

from infaug.config import RunConfig
from infaug.experiment.tuning import choose, trial_config, trial_method, tuned_config
from infaug.record.folder import RunFolder
from infaug.training.methods import FEATURES_OF, GENERATOR, POLICY_FROM, Method
from infaug.training.train import Inputs, TrainingSpec
from infaug.training.views import base_of


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
    method, config = spec.method, spec.config
    found = set()
    if method.is_tuned:
        found |= {
            trial_method(candidate).name for candidate in config.tuning.candidates
        }
    if method.control is not None and config.rounds.s_val == "once":
        found.add(method.control)
    if method.generator == "final":
        found.add("base_learned")
    elif config.adversarial.fit != "none" and method.uses_generator:
        found.add(GENERATOR.name)
    if method.policy == "learned":
        found.add(POLICY_FROM)
    if spec.fits_generator and config.adversarial.fit == "ragan":
        found.add(FEATURES_OF)
    return {(name, spec.seed) for name in found}


def resolve(spec: TrainingSpec, folder: RunFolder) -> tuple[TrainingSpec, Inputs]:
    """The training as those before it decide, and what it takes from them."""
    notes: dict[str, Any] = {}
    if spec.method.is_tuned:
        trials = _trials(spec, folder)
        base, scores = choose(trials), ("selection_top1", "selection_loss")
        tried = {name: {s: trials[name][s] for s in scores} for name in trials}
        notes = {"base": base, "candidates": tried}
        spec = replace(spec, config=tuned_config(spec.config, base))
    return spec, Inputs(
        generator=_generator_for(spec, folder),
        driver=_driver_for(spec, folder),
        features=_features_for(spec, folder),
        policy=_policy_for(spec, folder),
        notes=notes,
    )


def _trials(spec: TrainingSpec, folder: RunFolder) -> dict[str, dict[str, Any]]:
    return {
        candidate: folder.found(trial_method(candidate).name, spec.seed)
        for candidate in spec.config.tuning.candidates
    }


def _with_generator(methods: list[Method], config: RunConfig) -> list[Method]:
    """The methods, and `generator` where G is fitted: first, or once F has features."""
    fit = config.adversarial.fit
    if fit == "none" or not any(method.uses_generator for method in methods):
        return methods
    at = 0
    if fit == "ragan":
        at = [method.name for method in methods].index(FEATURES_OF) + 1
    return [*methods[:at], GENERATOR, *methods[at:]]


State = dict[str, Tensor]


def _features_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The F whose features a critic sees, where G is fitted with such a critic."""
    if not spec.fits_generator or spec.config.adversarial.fit != "ragan":
        return None
    return folder.weights(FEATURES_OF, spec.seed, "classifier")


def _driver_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The F that drives E of this method, where s_val is solved once."""
    control = spec.method.control
    if control is None or spec.config.rounds.s_val != "once":
        return None
    return folder.weights(control, spec.seed, "classifier")


def _generator_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The G that a method begins with: `base_learned`'s, the fitted one, or none."""
    method, seed = spec.method, spec.seed
    if method.generator == "final":
        prefix = "generator."
        tensors = folder.weights("base_learned", seed, "transform").items()
        return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}
    if method.uses_generator and spec.config.adversarial.fit != "none":
        return folder.weights(GENERATOR.name, seed, "generator")
    return None


def _policy_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The policy a training begins with: the learned one, or none for the uniform."""
    if spec.method.policy != "learned":
        return None
    return folder.weights(POLICY_FROM, spec.seed, "policy")
