"""Trainings of tables: what each is, when two are one, and what they found.

A training is a method trained on a problem with a seed. Its key is a hash of all
settings that its numbers can depend on and of no others, so that a changed config is
never mistaken for a finished training, and methods that do not look at target images
are trained once for all target budgets.
"""

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from infaug.config import DataConfig, RunConfig, from_dict, to_dict
from infaug.experiment.plan import BATCH_SIZE
from infaug.record.journal import append_line, read_lines
from infaug.training.methods import METHODS, POLICY_FROM, Method

# What only names the methods, or says how often to write something down.
NEVER_MATTER = ("seeds", "controls", "methods", "members", "threads", "minutes")
NEVER_MATTER_IN_ROUNDS = ("log_every_steps", "checkpoint_every_steps", "ledger_images")
# Settings of committed results that gained nothing and are gone: ignored as they were
# by default.
GONE = {
    "estimator": {"candidates": 1, "view_temperature": None},
    "influence": {"memory": 0.0, "focus": 0.0},
}
OF_LEARNING = ("transform", "estimator")
OF_JUDGING = ("objective", "norm_floor")
# What is done with images once they are read. A setting that is missing here is taken
# to matter to reading: they would be read again for another value, never wrongly.
OF_DIVISION = (
    "labels",
    "target",
    "influence_share",
    "test",
    "seed",
    "drop_duplicates",
    "shift",
    "tail",
    "balance",
    "nuisance",
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One problem: what the methods of a table are trained on and used for.

    `config.data.source` is the name of the data, not where they lie.
    """

    title: str
    config: RunConfig


@dataclass(frozen=True)
class TableTraining:
    """A method, a problem and a seed; equal trainings have equal numbers.

    Built by `table_training`, which leaves in `config` only what the numbers can depend
    on. `stands_for` are the data settings of all problems that take its result.
    """

    method: str
    seed: int
    config: RunConfig
    stands_for: tuple[DataConfig, ...] = field(default=(), compare=False)

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
    def needs(self) -> "TableTraining | None":
        """The training whose G or policy makes this one's views."""
        method = METHODS[self.method]
        if method.generator == "final":
            return replace(self, method="base_learned")
        return replace(self, method=POLICY_FROM) if method.policy == "learned" else None


def table_training(method: str, seed: int, config: RunConfig) -> TableTraining:
    """A method's training: settings that do not matter to it have their defaults."""
    kept = from_dict(RunConfig, _settings(METHODS[method], config))
    return TableTraining(method, seed, kept, (config.data,))


def recorded_training(record: Mapping[str, Any]) -> TableTraining | None:
    """The training of a line of results; None if a setting of it is gone.

    A setting that the line does not name came later, and had its default: what is new
    leaves by default everything as it was.
    """
    if "method" not in record:  # A line of an older version said row.
        return None
    values = dict(record["config"])
    for part in GONE.keys() & values.keys():
        values[part] = dict(values[part].items() - GONE[part].items())
    try:
        config = from_dict(RunConfig, values)
    except ValueError:
        return None
    return table_training(record["method"], record["seed"], config)


def plan_table(
    wanted: Collection[tuple[RunConfig, str]], seeds: int
) -> list[TableTraining]:
    """The different trainings of methods on problems, seed by seed.

    What a training needs comes before it, wanted or not.
    """
    plan: dict[TableTraining, TableTraining] = {}
    for seed in range(seeds):
        for config, method in wanted:
            training = table_training(method, seed, config)
            for each in (training.needs, training):
                if each is not None:
                    known = plan.get(each, each).stands_for
                    every = tuple(dict.fromkeys((*known, config.data)))
                    plan[each] = replace(each, stands_for=every)
    return list(plan.values())


def ready(
    waiting: Sequence[TableTraining], running: Iterable[TableTraining]
) -> list[TableTraining]:
    """Those that need none which waits or runs: both would write to one folder."""
    unfinished = {*waiting, *running}
    return [training for training in waiting if training.needs not in unfinished]


def reading(data: DataConfig) -> DataConfig:
    """Of the data settings only those that reading looks at; others as by default.

    >>> given = DataConfig(source="pets", labels=100, stream_above_gib=1.0)
    >>> reading(given) == DataConfig(source="pets", stream_above_gib=1.0)
    True
    """
    default = DataConfig()
    return replace(data, **{name: getattr(default, name) for name in OF_DIVISION})


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
    if not method.uses_generator:
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
    return method.uses_generator or method.has_learned_view


def _counts_labels(config: RunConfig) -> bool:
    """Whether labels are a count: a part of what target leaves depends on target."""
    labels = config.data.labels
    return labels is not None and labels >= 1


Record = dict[str, Any]


class Results:
    """What finished jobs found; the file is made when first added to.

    `read` tells the job of a line; by default a training of a table, or None if a
    setting of it is gone.
    """

    def __init__(
        self, path: Path, read: Callable[[Record], Hashable] = recorded_training
    ):
        self.path, self._read = path, read
        self._found = {read(record): record for record in read_lines(path)}

    def __contains__(self, job: Hashable) -> bool:
        return job in self._found

    def get(self, job: Hashable) -> Record | None:
        """What a job found, or None if it has not been done."""
        return self._found.get(job)

    def by_seed(self, method: str, config: RunConfig, seeds: int) -> dict[int, Record]:
        """What the finished trainings of a method on a problem found."""
        found = {s: self.get(table_training(method, s, config)) for s in range(seeds)}
        return {seed: record for seed, record in found.items() if record is not None}

    def match(self, data: DataConfig, images: Mapping[str, Any]) -> None:
        """Refuse other images than those that results are about under the same name.

        `images` is what tells them from others: `Source.identity`.
        """
        for training, record in self._found.items():
            if not isinstance(training, TableTraining):
                continue
            before = record.get("data", images)
            if reading(training.config.data) == reading(data) and before != images:
                differ = [
                    k for k in {**before, **images} if before.get(k) != images.get(k)
                ]
                raise ValueError(
                    f"{self.path} holds results of other images called "
                    f"{data.source!r} (other {', '.join(differ)}): give these another "
                    "name, as --data NAME=FOLDER, or use another --out or --results"
                )

    def add(self, record: Record) -> None:
        """Append what a job found; it is on disk when this returns."""
        append_line(self.path, record)
        self._found[self._read(record)] = record
