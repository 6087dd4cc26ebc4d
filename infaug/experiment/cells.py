"""Which trainings an experiment consists of, and what each takes from the others."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import Tensor

from infaug.config import RunConfig
from infaug.experiment.tuning import choose, trial_config, trial_row, tuned_config
from infaug.record.folder import RunFolder
from infaug.training.rows import FEATURES_OF, GENERATOR, POLICY_FROM, Row
from infaug.training.train import Inputs, TrainingSpec
from infaug.training.views import base_of, refuse_unjudged


def plan_cells(
    config: RunConfig, rows: Iterable[Row], seeds: Iterable[int]
) -> list[TrainingSpec]:
    """All cells in the order in which they run: what one needs comes before it.

    Raises:
        ValueError: if a row does not go with the base or the settings.
    """
    rows = _with_generator(list(rows), config)
    for row in rows:
        # What cannot be is refused before the first.
        base_of(row, config.rounds.base)
        refuse_unjudged(row, config.estimator)
    plan = []
    for seed in seeds:
        tuned = [row for row in rows if row.is_tuned]
        for row in rows:
            if row in tuned[:1]:  # They choose from the same candidates.
                plan += [
                    TrainingSpec(
                        row=trial_row(candidate),
                        seed=seed,
                        config=trial_config(config, candidate),
                        candidate=candidate,
                        sees_test=False,
                    )
                    for candidate in config.tuning.candidates
                ]
            plan.append(TrainingSpec(row=row, seed=seed, config=config))
    return plan


def name_of(spec: TrainingSpec) -> tuple[str, int]:
    """What tells a training from the others of its plan: method and seed."""
    return spec.row.name, spec.seed


def needed_by(spec: TrainingSpec) -> set[tuple[str, int]]:
    """Names of the trainings that must be finished before this one can begin."""
    row, config = spec.row, spec.config
    found = set()
    if row.is_tuned:
        found |= {trial_row(candidate).name for candidate in config.tuning.candidates}
    if row.control is not None and config.rounds.s_val == "once":
        found.add(row.control)
    if row.generator == "final":
        found.add("base_learned")
    elif config.adversarial.fit != "none" and row.uses_generator:
        found.add(GENERATOR.name)
    if row.policy == "learned":
        found.add(POLICY_FROM)
    if spec.fits_generator and config.adversarial.fit == "ragan":
        found.add(FEATURES_OF)
    return {(name, spec.seed) for name in found}


def resolve(spec: TrainingSpec, folder: RunFolder) -> tuple[TrainingSpec, Inputs]:
    """The training as those before it decide, and what it takes from them."""
    notes: dict[str, Any] = {}
    if spec.row.is_tuned:
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
        candidate: folder.found(trial_row(candidate).name, spec.seed)
        for candidate in spec.config.tuning.candidates
    }


def _with_generator(rows: list[Row], config: RunConfig) -> list[Row]:
    """The rows, and `generator` where G is fitted: first, or once F has features."""
    fit = config.adversarial.fit
    if fit == "none" or not any(row.uses_generator for row in rows):
        return rows
    at = 0
    if fit == "ragan":
        at = [row.name for row in rows].index(FEATURES_OF) + 1
    return [*rows[:at], GENERATOR, *rows[at:]]


State = dict[str, Tensor]


def _features_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The F whose features a critic sees, where G is fitted with such a critic."""
    if not spec.fits_generator or spec.config.adversarial.fit != "ragan":
        return None
    return folder.weights(FEATURES_OF, spec.seed, "classifier")


def _driver_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The F that drives E of this row, where s_val is solved once."""
    control = spec.row.control
    if control is None or spec.config.rounds.s_val != "once":
        return None
    return folder.weights(control, spec.seed, "classifier")


def _generator_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The G that a row begins with: that of `base_learned`, the fitted one, or none."""
    row, seed = spec.row, spec.seed
    if row.generator == "final":
        prefix = "generator."
        tensors = folder.weights("base_learned", seed, "transform").items()
        return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}
    if row.uses_generator and spec.config.adversarial.fit != "none":
        return folder.weights(GENERATOR.name, seed, "generator")
    return None


def _policy_for(spec: TrainingSpec, folder: RunFolder) -> State | None:
    """The policy a training begins with: the learned one, or none for the uniform."""
    if spec.row.policy != "learned":
        return None
    return folder.weights(POLICY_FROM, spec.seed, "policy")
