"""Which cells a run consists of, and what each takes from those before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from infaug.config import RunConfig
from infaug.experiment.tuning import choose, trial_config, trial_row, tuned_config
from infaug.record.folder import RunFolder
from infaug.training.alternation import estimator_steps
from infaug.training.rows import FEATURES_OF, GENERATOR, POLICY_FROM, Row
from infaug.training.views import base_of, refuse_unjudged


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A cell that is to be run.

    Attributes:
        row: what F trains on.
        seed: repetition.
        config: settled; a candidate of `base_tuned` has its own base and fewer steps.
        candidate: the base augmentation that is tried, if that is the cell's purpose.
        sees_test: whether test images are looked at in the end; never to choose.
    """

    row: Row
    seed: int
    config: RunConfig
    candidate: str | None = None
    sees_test: bool = True

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each phase of the whole cell."""
        rounds = self.config.rounds
        if self.fits_generator:
            return {"adversary": self.config.adversarial.steps}
        steps = {"classify": rounds.rounds * rounds.classifier_steps}
        is_once = self.row.is_learned and rounds.s_val == "once"
        if self.row.is_learned:
            steps["estimate"] = estimator_steps(rounds)
            steps["review"] = 0 if is_once else rounds.rounds - 1
        if self.row.learns_policy:
            steps["estimate"] = estimator_steps(rounds)
        if self.row.solves_s_val:
            steps["refresh"] = 1 if is_once else rounds.rounds - 1
        return steps

    @property
    def fits_generator(self) -> bool:
        """Whether the seed's G is fitted here, and no F trained."""
        return self.row is GENERATOR


def plan_cells(
    config: RunConfig, rows: Iterable[Row], seeds: Iterable[int]
) -> list[Planned]:
    """All cells in the order in which they run: what one needs comes before it.

    Raises:
        ValueError: if a row does not go with the base or the settings.
    """
    rows = _with_generator(list(rows), config)
    for row in rows:
        # What cannot be is refused before the first.
        base_of(row, config.rounds.base)
        refuse_unjudged(row, config.estimator)
    planned = []
    for seed in seeds:
        for row in rows:
            if row.is_tuned:
                planned += [
                    Planned(
                        row=trial_row(candidate),
                        seed=seed,
                        config=trial_config(config, candidate),
                        candidate=candidate,
                        sees_test=False,
                    )
                    for candidate in config.tuning.candidates
                ]
            planned.append(Planned(row=row, seed=seed, config=config))
    return planned


def config_for(planned: Planned, folder: RunFolder) -> RunConfig:
    """The cell's config: for `base_tuned` with the base that its candidates decide."""
    if not planned.row.is_tuned:
        return planned.config
    return tuned_config(planned.config, choose(_trials(planned, folder)))


def choice_of(planned: Planned, folder: RunFolder) -> dict[str, Any]:
    """What `base_tuned` adds to its result: the base, and how each candidate did."""
    if not planned.row.is_tuned:
        return {}
    trials = _trials(planned, folder)
    scores = ("selection_top1", "selection_loss")
    found = {name: {s: trials[name][s] for s in scores} for name in trials}
    return {"base": choose(trials), "candidates": found}


def _trials(planned: Planned, folder: RunFolder) -> dict[str, dict[str, Any]]:
    return {
        candidate: folder.found(trial_row(candidate).name, planned.seed)
        for candidate in planned.config.tuning.candidates
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


def features_for(planned: Planned, folder: RunFolder) -> State | None:
    """The F whose features a critic sees, where there is such a critic."""
    if planned.config.adversarial.fit != "ragan":
        return None
    return folder.weights(FEATURES_OF, planned.seed, "classifier")


def driver_for(planned: Planned, folder: RunFolder) -> State | None:
    """The F that drives E of this row, where s_val is solved once."""
    control = planned.row.control
    if control is None or planned.config.rounds.s_val != "once":
        return None
    return folder.weights(control, planned.seed, "classifier")


def generator_for(planned: Planned, folder: RunFolder) -> State | None:
    """The G that a row begins with: that of `base_learned`, the fitted one, or none."""
    row, seed = planned.row, planned.seed
    if row.generator == "final":
        prefix = "generator."
        tensors = folder.weights("base_learned", seed, "transform").items()
        return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}
    if row.uses_generator and planned.config.adversarial.fit != "none":
        return folder.weights(GENERATOR.name, seed, "generator")
    return None


def policy_for(planned: Planned, folder: RunFolder) -> State | None:
    """The policy that a row begins with: the learned one, or none for the uniform."""
    if planned.row.policy != "learned":
        return None
    return folder.weights(POLICY_FROM, planned.seed, "policy")
