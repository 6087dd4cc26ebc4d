"""Tables as lists of cells: what each cell is, and when two of them are one.

A cell is a row trained on a problem with a seed. Its key is a hash of all settings that
its numbers can depend on and of no others, so that a changed config is never mistaken
for a finished cell, and rows that do not look at target images are trained once for all
target budgets.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from infaug.config import ClassifierConfig, DataConfig, RunConfig, from_dict, to_dict
from infaug.training.rows import POLICY_FROM, ROWS, Row

# What only names the rows, or says how often to write something down.
NEVER_MATTER = ("seeds", "controls", "rows", "threads", "minutes")
NEVER_MATTER_IN_ROUNDS = (
    "log_every_steps",
    "checkpoint_every_steps",
    "ledger_images",
)
# Came when there were results: at their defaults they leave every key as it was.
CAME_LATER_IN_DATA = (
    "target_source",
    "test_from",
    "path_column",
    "split_column",
    "drop_duplicates",
    "tail",
    "nuisance",
    "pixel_bits",
    "folds",
    "target_image_column",
    "target_label_column",
)
CAME_LATER_IN_CLASSIFIER = (
    "views",
    "weights",
    "freeze",
    "decay_norms",
    "label_smoothing",
    "frozen_views",
    "layer_decay",
)
OF_LEARNING = ("transform", "estimator")
OF_JUDGING = ("objective", "norm_floor")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One problem: what the rows of a table are trained on and used for.

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
    rows: tuple[str, ...]


@dataclass(frozen=True)
class GridCell:
    """A row, a problem and a seed; equal cells have equal numbers.

    Built by `grid_cell`, which leaves in `config` only what the numbers can depend on.
    """

    row: str
    seed: int
    config: RunConfig

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that the numbers can depend on, as `to_dict` gives them."""
        return _settings(ROWS[self.row], self.config)

    @property
    def key(self) -> str:
        """Hash of `settings`."""
        text = json.dumps(self.settings, sort_keys=True)
        return blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def needs(self) -> "GridCell | None":
        """The cell whose G or policy makes this one's views."""
        row = ROWS[self.row]
        if row.generator == "final":
            return replace(self, row="base_learned")
        return replace(self, row=POLICY_FROM) if row.policy == "learned" else None


@dataclass(frozen=True)
class Work:
    """A cell to be run, and the data settings for which its result will stand."""

    cell: GridCell
    stands_for: tuple[DataConfig, ...]


def grid_cell(row: str, seed: int, config: RunConfig) -> GridCell:
    """The cell of a row: settings that do not matter to it have their defaults."""
    settings = _settings(ROWS[row], config)
    return GridCell(row, seed, from_dict(RunConfig, settings))


def recorded_cell(record: Mapping[str, Any]) -> GridCell | None:
    """The cell that a line of results is about; None if it has a setting that is gone.

    A setting that the line does not name came later, and had its default: what is new
    leaves by default everything as it was.
    """
    try:
        config = from_dict(RunConfig, record["config"])
    except ValueError:
        return None
    return grid_cell(record["row"], record["seed"], config)


def _settings(row: Row, config: RunConfig) -> dict[str, Any]:
    values = to_dict(config)
    _drop(values, NEVER_MATTER)
    _drop(values["rounds"], NEVER_MATTER_IN_ROUNDS)
    if config.rounds.refresh == "sync":
        _drop(values["rounds"], ("refresh_lag",))
    # What came after the first tables is left out where it has no part, so that the
    # keys of finished cells stay.
    for name in CAME_LATER_IN_CLASSIFIER:
        if values["classifier"][name] == getattr(ClassifierConfig, name):
            del values["classifier"][name]
    if row.policy is None:
        _drop(values, ("policy",))
    if row.view_loss == "mean":
        _drop(values["classifier"], ("mmel_lambda",))
    if not row.is_tuned:
        _drop(values, ("tuning",))
    if not row.is_learned and row.generator is None:
        _drop(values, OF_LEARNING)
    if not _depends_on_learning(row):
        _drop(values["rounds"], ("estimator_steps",))
    if row.is_reweighted:
        _drop(values["influence"], OF_JUDGING)
    elif row.looks_ahead or not _depends_on_learning(row):
        _drop(values, ("influence",))
    if not row.looks_ahead:
        _drop(values, ("bilevel",))
    default = to_dict(DataConfig())
    for name in CAME_LATER_IN_DATA:
        if values["data"][name] == default[name]:
            del values["data"][name]
    if _ignores_target(row) and _counts_labels(config):
        _drop(values["data"], ("target", "influence_share"))
    return values


def _drop(values: dict[str, Any], names: Iterable[str]) -> None:
    """Take settings out of a dictionary that has them."""
    for name in names:
        del values[name]


def _ignores_target(row: Row) -> bool:
    """Whether neither training nor choosing looks at influence or selection images."""
    looks = row.is_pooled or row.is_tuned or row.is_reweighted or row.is_late
    return not (looks or _depends_on_learning(row))


def _depends_on_learning(row: Row) -> bool:
    """Whether E or a policy learns here, or learned what is used here."""
    learned = row.policy in ("online", "learned")
    return row.is_learned or row.generator is not None or learned


def _counts_labels(config: RunConfig) -> bool:
    """Whether labels are a count: a part of what target leaves depends on target."""
    labels = config.data.labels
    return labels is not None and labels >= 1


def work_of(
    tables: Sequence[Table], rows: Sequence[str] | None, seeds: int
) -> list[Work]:
    """The different cells of some tables, seed by seed; `rows` keeps only those named.

    What a cell needs comes before it, named or not.
    """
    data: dict[GridCell, dict[DataConfig, None]] = {}
    for seed in range(seeds):
        for table in tables:
            for column in table.columns:
                for row in table.rows:
                    if rows is None or row in rows:
                        cell = grid_cell(row, seed, column.config)
                        for each in (cell.needs, cell):
                            if each is not None:
                                data.setdefault(each, {})[column.config.data] = None
    return [Work(cell, tuple(stands_for)) for cell, stands_for in data.items()]
