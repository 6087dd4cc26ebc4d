"""Tables as lists of trainings: what each training is, and when two of them are one.

A training is a method trained on a problem with a seed. Its key is a hash of all
settings that its numbers can depend on and of no others, so that a changed config is
never mistaken for a finished training, and methods that do not look at target images
are trained once for all target budgets.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from infaug.config import DataConfig, RunConfig, from_dict, to_dict
from infaug.experiment.plan import BATCH_SIZE
from infaug.training.methods import METHODS, POLICY_FROM, Method

# What only names the methods, or says how often to write something down.
NEVER_MATTER = ("seeds", "controls", "methods", "threads", "minutes")
NEVER_MATTER_IN_ROUNDS = (
    "log_every_steps",
    "checkpoint_every_steps",
    "ledger_images",
)
# Settings of committed results that gained nothing and are gone: ignored as they were
# by default.
GONE = {
    "estimator": {"candidates": 1, "view_temperature": None},
    "influence": {"memory": 0.0, "focus": 0.0},
}
OF_LEARNING = ("transform", "estimator")
OF_JUDGING = ("objective", "norm_floor")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One problem: what the methods of a table are trained on and used for.

    `config.data.source` is the name of the data, not where they lie.
    """

    title: str
    config: RunConfig


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows by columns, `name` being what a command calls it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    methods: tuple[str, ...]


@dataclass(frozen=True)
class GridTraining:
    """A method, a problem and a seed; equal trainings have equal numbers.

    Built by `grid_training`, which leaves in `config` only what the numbers can depend
    on.
    """

    method: str
    seed: int
    config: RunConfig

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that the numbers can depend on, as `to_dict` gives them."""
        return _settings(METHODS[self.method], self.config)

    @property
    def key(self) -> str:
        """Hash of `settings`."""
        text = json.dumps(self.settings, sort_keys=True)
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def needs(self) -> "GridTraining | None":
        """The training whose G or policy makes this one's views."""
        method = METHODS[self.method]
        if method.generator == "final":
            return replace(self, method="base_learned")
        return replace(self, method=POLICY_FROM) if method.policy == "learned" else None


@dataclass(frozen=True)
class Work:
    """A training to be run, and the data settings for which its result will stand."""

    training: GridTraining
    stands_for: tuple[DataConfig, ...]


def grid_training(method: str, seed: int, config: RunConfig) -> GridTraining:
    """A method's training: settings that do not matter to it have their defaults."""
    settings = _settings(METHODS[method], config)
    return GridTraining(method, seed, from_dict(RunConfig, settings))


def recorded_training(record: Mapping[str, Any]) -> GridTraining | None:
    """The training of a line of results; None if a setting of it is gone.

    A setting that the line does not name came later, and had its default: what is new
    leaves by default everything as it was.
    """
    values = dict(record["config"])
    for part in GONE.keys() & values.keys():
        before = GONE[part].items()
        values[part] = dict(values[part].items() - before)
    try:
        config = from_dict(RunConfig, values)
    except ValueError:
        return None
    return grid_training(record["row"], record["seed"], config)


def _settings(method: Method, config: RunConfig) -> dict[str, Any]:
    values = to_dict(config)
    classifier = values["classifier"]
    if config.classifier.weights == "none":
        classifier["batch_size"] = classifier["batch_size"] or BATCH_SIZE
    _drop(values, NEVER_MATTER)
    _drop(values["rounds"], NEVER_MATTER_IN_ROUNDS)
    if config.rounds.refresh == "sync":
        _drop(values["rounds"], ("refresh_lag",))
    if method.policy is None:
        _drop(values, ("policy",))
    if method.view_loss == "mean":
        _drop(classifier, ("mmel_lambda",))
    if not method.is_tuned:
        _drop(values, ("tuning",))
    if not method.is_learned and method.generator is None:
        _drop(values, OF_LEARNING)
    if not _depends_on_learning(method):
        _drop(values["rounds"], ("estimator_steps",))
    if method.is_reweighted:
        _drop(values["influence"], OF_JUDGING)
    elif method.looks_ahead or not _depends_on_learning(method):
        _drop(values, ("influence",))
    if not method.looks_ahead:
        _drop(values, ("bilevel",))
    if _ignores_target(method) and _counts_labels(config):
        _drop(values["data"], ("target", "influence_share"))
    return values


def _drop(values: dict[str, Any], names: Iterable[str]) -> None:
    """Take settings out of a dictionary that has them."""
    for name in names:
        del values[name]


def _ignores_target(method: Method) -> bool:
    """Whether neither training nor choosing looks at influence or selection images."""
    looks = (
        method.is_pooled
        or method.is_tuned
        or method.is_reweighted
        or method.is_late
        or method.adapts
    )
    return not (looks or _depends_on_learning(method))


def _depends_on_learning(method: Method) -> bool:
    """Whether E or a policy learns here, or learned what is used here."""
    learned = method.policy in ("online", "learned")
    return method.is_learned or method.generator is not None or learned


def _counts_labels(config: RunConfig) -> bool:
    """Whether labels are a count: a part of what target leaves depends on target."""
    labels = config.data.labels
    return labels is not None and labels >= 1


def work_of(
    tables: Sequence[Table], methods: Sequence[str] | None, seeds: int
) -> list[Work]:
    """The different trainings of some tables, seed by seed; only `methods`, if given.

    What a training needs comes before it, named or not.
    """
    data: dict[GridTraining, dict[DataConfig, None]] = {}
    for seed in range(seeds):
        for table in tables:
            for column in table.columns:
                for method in table.methods:
                    if methods is None or method in methods:
                        training = grid_training(method, seed, column.config)
                        for each in (training.needs, training):
                            if each is not None:
                                data.setdefault(each, {})[column.config.data] = None
    return [Work(training, tuple(stands_for)) for training, stands_for in data.items()]
