from dataclasses import replace

from finished import finished_run

from infaug.report.facts import read_facts
from infaug.report.standing import MOST_CLASSES, by_class


def found(*rates):
    """Results of one row: what each seed says of every class."""
    lines = [{"seed": seed, "test_by_class": list(r)} for seed, r in enumerate(rates)]
    return dict(enumerate(lines))


def test_means_are_over_seeds_that_have_test_images_of_the_class(tmp_path):
    facts = read_facts(finished_run(tmp_path / "run"), "run")
    facts = replace(
        facts,
        data={"classes": ["frog", "horse", "truck"]},
        found={"base": found((50, None, 0), (100, None, 50)), "pooled": {}},
    )
    told = by_class(facts)
    assert told is not None
    assert told.classes == ("frog", "horse", "truck")
    assert told.rows == {"base": (75, None, 25)}
    assert told.num_left_out == 0
    assert by_class(replace(facts, found={"base": {}})) is None


def test_of_many_classes_those_are_shown_that_do_worst_in_their_order(tmp_path):
    facts = read_facts(finished_run(tmp_path / "run"), "run")
    rates = [90 - k for k in range(MOST_CLASSES + 2)]
    names = [f"class {k}" for k in range(len(rates))]
    told = by_class(
        replace(facts, data={"classes": names}, found={"base": found(rates)})
    )
    assert told is not None
    assert told.classes == tuple(names[2:])
    assert told.num_left_out == 2
