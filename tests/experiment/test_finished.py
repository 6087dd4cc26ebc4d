import pytest
from finished import finished_run

from infaug.experiment.finished import choose_classifier, choose_learned
from infaug.record.folder import RunFolder


@pytest.fixture(scope="module")
def grey_run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("finished") / "run")


def test_method_and_seed_are_chosen_by_selection_and_never_by_test(grey_run):
    """In this run accuracy on test is best where the selection loss is worst."""
    chosen = choose_learned(RunFolder(grey_run))
    # Mean losses: base_learned (0.4 + 0.2) / 2, pooled_learned (0.3 + 0.6) / 2.
    assert chosen.name == "base_learned-seed1"
    assert "lowest mean selection loss" in chosen.how
    assert choose_learned(RunFolder(grey_run), "pooled_learned").seed == 0


def test_a_seed_can_be_asked_for(grey_run):
    chosen = choose_learned(RunFolder(grey_run), "base_learned", 0)
    assert (chosen.seed, chosen.how) == (0, "asked for by number")


def test_what_was_not_run_or_learns_nothing_is_refused(grey_run):
    folder = RunFolder(grey_run)
    with pytest.raises(ValueError, match="--seed 5 of base_learned is not finished"):
        choose_learned(folder, "base_learned", 5)
    with pytest.raises(ValueError, match="no finished training of method learned"):
        choose_learned(folder, "learned")
    for method in ("base", "nonsense"):
        with pytest.raises(
            ValueError, match=f"--method {method} learns no augmentation"
        ):
            choose_learned(folder, method)


def test_a_view_that_was_given_up_is_not_exported(tmp_path):
    run = finished_run(tmp_path / "run", given_up=("base_learned",))
    with pytest.raises(ValueError, match="was given up during training"):
        choose_learned(RunFolder(run), "base_learned")


def test_the_classifier_of_any_method_can_be_chosen_also_where_the_view_was_given_up(
    tmp_path, grey_run
):
    assert choose_classifier(RunFolder(grey_run)).name == "base_learned-seed1"
    chosen = choose_classifier(RunFolder(grey_run), "base")
    assert chosen.first.method.name == "base"
    run = finished_run(tmp_path / "run", given_up=("base_learned",))
    assert choose_classifier(RunFolder(run)).name == "base_learned-seed1"
    with pytest.raises(ValueError, match="no finished training of method oracle"):
        choose_classifier(RunFolder(run), "oracle")
    with pytest.raises(ValueError, match="choose among none, base"):
        choose_classifier(RunFolder(run), "nonsense")
