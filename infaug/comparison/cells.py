"""Which cells a run consists of, and what each takes from those before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from infaug.comparison.tuning import choose, trial_config, trial_row, tuned_config
from infaug.config import RunConfig
from infaug.record.folder import RunFolder
from infaug.rows import Row


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A cell that is to be run.

    Attributes:
        row: what F trains on.
        seed: repetition.
        config: settled; a candidate of `base_tuned` has its own base and fewer steps.
        candidate: the base augmentation that is tried, if that is the cell's purpose.
    """

    row: Row
    seed: int
    config: RunConfig
    candidate: str | None = None

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each phase of the whole cell."""
        rounds = self.config.rounds
        steps = {"classify": rounds.rounds * rounds.classifier_steps}
        if self.row.is_learned:
            steps["refresh"] = rounds.rounds - 1
            steps["estimate"] = (rounds.rounds - 1) * rounds.estimator_steps
            steps["review"] = rounds.rounds - 1
        return steps


def plan_cells(
    config: RunConfig, rows: Iterable[Row], seeds: Iterable[int]
) -> list[Planned]:
    """All cells in the order in which they run: what one needs comes before it."""
    rows = list(rows)
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


def generator_for(planned: Planned, folder: RunFolder) -> dict[str, Tensor] | None:
    """The G that the paired `base_learned` run ended with, where the row wants it."""
    if planned.row.generator != "final":
        return None
    weights = folder.cell("base_learned", planned.seed) / "transform.safetensors"
    prefix = "generator."
    tensors = load_file(weights).items()
    return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}
