"""A training of the long-tail table: how a method for long tails trains F."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infaug.baselines.git_transfer import InvarianceTransfer
from infaug.baselines.long_tail import TailBatches
from infaug.config import GitConfig, RunConfig, from_dict, to_dict
from infaug.data.batches import Batches
from infaug.experiment.grid import GridTraining, grid_training, recorded_training
from infaug.training.state import Training


@dataclass(frozen=True, kw_only=True)
class TailMethod:
    """A method of the table, with the steps and networks of `method`.

    Attributes:
        name: as it appears in tables.
        method: what the two views go through, and whether E learns.
        balanced_from: share of F's steps after which classes are drawn alike (DRS).
        transfers: whether images of small classes go through GIT first.
    """

    name: str
    method: str = "base"
    balanced_from: float | None = None
    transfers: bool = False


DELAY = 0.8  # as Cao et al. (2019): 160 of 200 epochs

METHODS = {
    method.name: method
    for method in (
        TailMethod(name="plain"),
        TailMethod(name="drs", balanced_from=DELAY),
        TailMethod(name="git", balanced_from=DELAY, transfers=True),
        TailMethod(name="infaug", method="base_learned"),
        TailMethod(name="infaug_drs", method="base_learned", balanced_from=DELAY),
        TailMethod(name="pooled", method="pooled"),
    )
}


@dataclass(frozen=True)
class TailTraining:
    """A method, a problem and a seed; equal trainings have equal numbers."""

    method: TailMethod
    training: GridTraining
    git: GitConfig | None
    """None where GIT is not used."""

    @property
    def name(self) -> str:
        """For folders: unlike for unlike settings."""
        return f"{self.method.name}-seed{self.training.seed}-{self.training.key}"

    @property
    def identity(self) -> dict[str, Any]:
        """What `recorded` reads, as JSON can hold it."""
        return {
            "method": to_dict(self.method),
            "row": self.training.method,
            "seed": self.training.seed,
            "config": self.training.settings,
            "git": to_dict(self.git) if self.git is not None else None,
        }


def tail_training(
    method: TailMethod, seed: int, config: RunConfig, git: GitConfig
) -> TailTraining:
    """A method's training: settings that do not matter to it have their defaults."""
    training = grid_training(method.method, seed, config)
    return TailTraining(method, training, git if method.transfers else None)


def recorded(record: Mapping[str, Any]) -> TailTraining | None:
    """The training of a line of results; None if a setting of it is gone.

    As `recorded_training`: a setting that the line does not name had its default.
    """
    training = recorded_training(record)
    try:
        method = from_dict(TailMethod, record["method"])
        git = record["git"] and from_dict(GitConfig, record["git"])
    except ValueError:
        return None
    return None if training is None else TailTraining(method, training, git)


def use_tail_batches(
    training: Training, method: TailMethod, transfer: InvarianceTransfer | None
) -> None:
    """F's views begin from a method's batches; E draws its own."""
    views, rounds, balanced_from = training.views, training.config.rounds, None
    assert isinstance(views.f_batches, Batches), "long tails are cut in memory"
    if method.balanced_from is not None:
        num_steps = rounds.rounds * rounds.classifier_steps
        balanced_from = round(method.balanced_from * num_steps)
    views.f_batches = TailBatches(views.f_batches, balanced_from, transfer)
