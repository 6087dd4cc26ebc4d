"""Images that a run left out are named in its report, the first of them."""

import html
import json

import pytest
from finished import finished_run

from infaug.report.facts import read_facts
from infaug.report.one_run import write_report
from infaug.report.standing import left_out


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run")


def twin(seed: int, name: str) -> str:
    line = {"seed": seed, "split": "train", "position": 3, "name": name}
    return json.dumps(line | {"held": "test", "twin": "use/1.png"}) + "\n"


def test_a_run_that_left_out_nothing_says_nothing(run):
    assert left_out(read_facts(run, "run")) == []
    assert "Images left out" not in write_report(run).read_text()


def test_the_first_ten_are_named_with_the_reason(run):
    lines = [f"<{k}>.png cannot be read (it is empty)\n" for k in range(13)]
    (run / "unreadable.txt").write_text("".join(lines))
    (run / "duplicates.jsonl").write_text(twin(0, "a/0.png") + twin(1, "a/0.png"))
    page = write_report(run).read_text()
    assert "13 images could not be read and were skipped." in page
    assert html.escape("<9>.png cannot be read (it is empty)") in page
    assert "10&gt;.png" not in page
    assert "and 3 more in unreadable.txt" in page
    assert "1 image is, pixel by pixel, in two splits of a seed, and was left" in page
    assert "a/0.png, left out of train: the same as use/1.png (test)" in page
    assert page.index("Images left out") > page.index('id="settings"')


def test_one_image_is_one_image(run):
    (run / "unreadable.txt").write_text("a.png cannot be read (it is empty)\n")
    (found,) = left_out(read_facts(run, "run"))
    assert found.says == "1 image could not be read and was skipped."
    assert found.more == ""


def test_what_was_skipped_and_changed_is_told(run):
    line = "composited 3 images on white, for parts of them are transparent"
    (run / "images.txt").write_text(line + "\n")
    page = write_report(run).read_text()
    assert line in page
    assert page.index(line) > page.index('id="settings"')
