from dataclasses import replace

import pytest

from infaug.config import DataConfig, RunConfig, ShiftConfig
from infaug.rows import rows_of

SHIFTED = DataConfig(shift=ShiftConfig(rotate_deg=40))
BOTH = replace(SHIFTED, shift=ShiftConfig(rotate_deg=40, splits=("train", "test")))


def names(config: RunConfig) -> list[str]:
    return [row.name for row in rows_of(config)]


def test_full_controls_tune_the_base_and_have_an_oracle_only_where_use_is_shifted():
    assert "base_tuned" in names(RunConfig(controls="full"))
    assert "oracle" not in names(RunConfig(controls="full"))
    assert "oracle" in names(RunConfig(controls="full", data=SHIFTED))
    assert "oracle" not in names(RunConfig(controls="full", data=BOTH))


def test_quick_controls_are_the_closest_ones():
    quick = names(RunConfig(controls="quick", data=SHIFTED))
    assert {"base", "pooled", "base_random_final"} < set(quick)
    assert not {"none", "base_tuned", "oracle"} & set(quick)


def test_named_rows_are_run_whatever_the_controls_with_the_one_they_need():
    config = RunConfig(controls="full", rows=("base_random_final", "none"))
    assert names(config) == ["none", "base_learned", "base_random_final"]


@pytest.mark.parametrize(
    ("row", "message"), [("bass", "no row 'bass'"), ("oracle", "the oracle")]
)
def test_rows_that_cannot_be_run_are_refused(row, message):
    with pytest.raises(ValueError, match=message):
        rows_of(RunConfig(rows=(row,)))
