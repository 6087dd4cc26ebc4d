"""Nearer to the target or further: means that can be checked, warnings where due."""

import math
import re
from dataclasses import replace

import pytest
import torch
from pictured import pictured_run
from tiny import CONFIG

from infaug.config import DataConfig, ShiftConfig, TransformConfig
from infaug.data.dataset import Labelled
from infaug.estimate.learned_transform import build_transform
from infaug.export.card import looks_in
from infaug.record.folder import RunFolder
from infaug.report.experiment_data import read_experiment
from infaug.report.experiment_page import Drawing, report_at_end
from infaug.report.image_statistics import (
    TowardTarget,
    compare,
    knows_target,
    mean_over_classes,
    statistics_of,
    statistics_of_images,
    statistics_of_views,
    warning_of,
)
from infaug.report.page import render

CLASSES = torch.arange(2)


def looks(lightness: float, num: int = 20, spread: float = 1.0):
    """Two classes in turn, each with values around the same mean."""
    swing = torch.linspace(-spread, spread, num // 2).repeat_interleave(2)
    return {"lightness": lightness + swing}, torch.arange(num) % 2


def moved(train: float, views: float, use: float, **more):
    began, labels = looks(train, **more)
    ended, aim = looks(views, **more)[0], looks(use, **more)[0]
    (found,) = compare(began, ended, aim, labels, labels)
    return found


@pytest.mark.parametrize(
    ("train", "views", "use", "verdict"),
    [
        (50, 40, 20, "nearer"),
        (50, 60, 20, "further"),
        (50, 20, 45, "further"),  # the right way, but far beyond
        (50, 51, 20, ""),  # not seen
        (50, 60, 50, "further"),
    ],
)
def test_a_verdict_is_about_the_distance_to_use(train, views, use, verdict):
    assert moved(train, views, use).verdict == verdict


def test_nothing_is_said_where_chance_may_have_placed_use():
    assert moved(50, 56, 53, num=4, spread=30).verdict == ""
    assert moved(50, 60, 20, num=2).verdict == ""  # one image of a class


def test_a_warning_says_what_went_where():
    apart = moved(50, 60, 20)
    words = "lightness (60 %, training images 50 %, target images 20 %)"
    away = "base_learned: views move away from the target images in"
    assert warning_of("base_learned", [apart]) == f"{away} {words}."
    assert f"{words} and lightness (20 %, " in warning_of(
        "base_learned", [apart, moved(50, 20, 45), moved(50, 40, 20)]
    )
    assert warning_of("base_learned", [moved(50, 40, 20)]) == ""


def test_classes_weigh_the_same_and_the_error_is_that_of_their_mean():
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    values = torch.tensor([1.0, 3.0, 1.0, 3.0, 10.0, 12.0])
    found = mean_over_classes(values, labels, CLASSES)
    assert found.value == 6.5
    pooled = (4 * 1 + 2 * 1) / 4
    assert found.error == pytest.approx(math.sqrt(pooled * (1 / 4 + 1 / 2)) / 2)


def test_they_are_lightness_contrast_and_colour_in_percent():
    image = torch.zeros(1, 3, 2, 2)
    image[:, :, 0] = 1.0  # half white
    image[:, 2, 1] = 0.6  # half dark blue
    found = {key: float(value) for key, value in statistics_of([image]).items()}
    assert found == pytest.approx({"lightness": 60, "contrast": 40, "colour": 30})
    assert set(statistics_of([image[:, :1]])) == {"lightness", "contrast"}


def test_views_of_the_identity_look_as_the_images_do():
    images = torch.randint(256, (6, 1, 16, 16), generator=torch.Generator())
    labelled = Labelled(images.byte(), torch.arange(6) % 2, ("a", "b"))
    transform = build_transform(TransformConfig(tau_size=8), 1, 16, 16, 0).eval()
    views = [
        statistics_of_views(transform, labelled, CONFIG.estimator) for _ in range(2)
    ]
    assert views[0]["lightness"].equal(views[1]["lightness"])
    transform.strength.fill_(0.0)
    still = statistics_of_views(transform, labelled, CONFIG.estimator)
    for key, value in statistics_of_images(labelled).items():
        torch.testing.assert_close(still[key], value, rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Of a run whose images of use are turned by 40 degrees."""
    return read_experiment(pictured_run(tmp_path_factory.mktemp("use") / "run"), "run")


def test_only_where_a_target_is_known_is_it_said_who_left_it(experiment):
    apart, near = moved(50, 60, 20), moved(50, 40, 20)
    found = TowardTarget(
        seed=0, methods={"base_learned": [apart]}, num=20, num_target=20,
        has_target=True,
    )  # fmt: skip

    def drawn(found: TowardTarget) -> str:
        drawing = Drawing(experiment)
        drawing.__dict__["toward_target"] = found
        return render("sections/toward_target.html", drawing.toward())

    assert ">further<" in drawn(found)
    assert found.warnings["base_learned"].startswith("base_learned: views move away")
    well = replace(found, methods={"base_learned": [near]})
    assert "In none of these numbers did learned views move away" in drawn(well)
    unknown = replace(found, has_target=False)
    assert not unknown.warnings
    assert "move away" not in drawn(unknown)
    assert not re.search("target images|>(further|nearer)<", drawn(unknown))
    assert "so there is no target to move to" in drawn(unknown)


def test_the_end_of_a_fit_the_top_of_its_page_and_its_card_warn(tmp_path, monkeypatch):
    run = pictured_run(tmp_path / "run")
    monkeypatch.setattr(
        "infaug.report.image_statistics.warning_of",
        lambda row, _: f"{row} went astray.",
    )
    *warnings, line = report_at_end(run, "my run", is_new=True)
    assert line == "report: my run/report.html"
    assert (
        "warning: base_learned went astray. Look at the pictures before trusting them."
        in warnings
    )
    top = (run / "report.html").read_text().split("<section")[0]
    assert "base_learned went astray. Look at the pictures" in top
    looks = looks_in(RunFolder(run), "base_learned")
    assert looks["warning"] == "base_learned went astray."
    assert set(looks["percent"]["lightness"]) == {
        "training images", "views", "target images",
    }  # fmt: skip
    assert looks_in(RunFolder(tmp_path), "base_learned") is None


def test_use_is_known_from_a_target_or_a_shift_of_influence_images(experiment):
    assert knows_target(experiment)

    def with_data(data: DataConfig):
        return replace(experiment, config=replace(experiment.config, data=data))

    assert not knows_target(with_data(DataConfig()))
    assert knows_target(with_data(DataConfig(target_source="use")))
    everywhere = ShiftConfig(rotate_deg=5, splits=("train", "influence", "test"))
    assert not knows_target(with_data(DataConfig(shift=everywhere)))
    assert knows_target(replace(with_data(DataConfig()), images={"target images": 9}))
