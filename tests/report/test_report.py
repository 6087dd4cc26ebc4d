"""RUN/report.html: what is on it, and that it needs nothing but itself."""

import html
import re
import shlex
from html.parser import HTMLParser

import fsspec
import pytest
from finished import finished_run
from pictured import HOSTILE, pictured_run, unfinished_run
from tiny import CONFIG

from infaug.cli.fit import parse_fit
from infaug.cli.main import main
from infaug.config import in_mode
from infaug.report.experiment_data import command
from infaug.report.experiment_page import report_at_end, write_report
from infaug.report.words import MINUS

VOID = {"meta", "img", "br", "path", "circle", "rect"}
MOST_BYTES = 5_000_000


class Page(HTMLParser):
    """A page's elements and words, and that each element is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.text, self.said = text, ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.said += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def part(self, anchor: str) -> str:
        """The HTML of a section."""
        return self.text.split(f'<section id="{anchor}"')[1].split("</section>")[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return pictured_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def page(run):
    return Page(write_report(run, "my run").read_text())


@pytest.fixture(scope="module")
def going(run, tmp_path_factory):
    return unfinished_run(tmp_path_factory.mktemp("going") / "run", run)


def must_need_nothing(page: Page) -> None:
    assert len(page.text.encode()) < MOST_BYTES
    assert not page.all("script")
    assert not page.all("link")
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            value = attributes.get(name) or "#"
            assert value.startswith(("data:image/png;base64,", "#"))
    style = page.text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    for picture in page.all("img"):
        assert picture["alt"]
    for chart in page.all("svg"):
        if not chart.get("aria-hidden"):
            assert chart["role"] == "img"
            assert chart["aria-label"]


def test_the_page_needs_nothing_but_itself_and_every_picture_has_words(page):
    must_need_nothing(page)
    assert len(page.all("img")) > 60
    assert len(page.all("svg")) > 20


def test_the_same_experiment_gives_the_same_page(page, run):
    assert write_report(run, "my run").read_text() == page.text


def test_verdict_interval_methods_and_what_was_not_run_are_said(page):
    top = page.said.split("Results")[0]
    assert "Learning the augmentation brought nothing here." in top
    # 30 and 60 against 50 and 50: -5 points, half a width of t(0.975, 1) * 15.
    assert "With the learned augmentation 45.00\N{NO-BREAK SPACE}% of the test" in top
    assert f"pooled_learned is {MINUS}5.00 points against its closest control" in top
    assert f"interval {MINUS}195.59 to +185.59, 2 seeds)" in top
    assert "Controls not run: `none`, `base_random`, `pooled`, `base_tuned`." in top
    results = page.part("results")
    for row in ("base", "base_learned", "pooled_learned"):
        assert f'<th scope="row">{row}<' in results
    for value in ("50.00", "40.00", "20.00", "30.00", "60.00", "± 14.14"):
        assert value in results.replace("&nbsp;", " ")


def test_names_of_classes_are_escaped_everywhere(page):
    assert "onerror" not in {name for _, each in page.elements for name in each}
    assert HOSTILE[:12] not in page.text
    assert html.escape(HOSTILE)[:16] in page.part("pictures")
    assert HOSTILE in page.said
    assert f"training image of class {HOSTILE}" in {p["alt"] for p in page.all("img")}


def test_the_known_shift_is_marked_where_e_should_turn_to(page):
    rotation = page.part("learned").split("</figure>")[0]
    assert "Target images: 40.00." in rotation
    assert ">target</text>" in rotation


def test_training_images_views_and_target_stand_in_one_table(page):
    part = page.part("toward_target")
    # Every class has 60 grey levels of noise to each side of 60, 120 and 180.
    train, *rows, use = re.findall(r'<td class="number">.*?(\d+\.\d)<', part)[::2]
    assert float(train) == pytest.approx(100 * 120 / 255, abs=1)
    assert len(rows) == 2
    assert 30 < float(use) < float(train)  # turned, with black corners
    assert "target images</th>" in part


def test_refreshes_reviews_and_time_are_told(page):
    refreshes = html.unescape(page.part("refreshes"))
    assert "4 refreshes; largest residual 0.0002" in refreshes
    assert "all converged" in refreshes
    assert "collapse was suspected in 4" in refreshes
    assert "pooled_learned seed 1 ended at strength 0.5" in refreshes
    time = page.part("compute")
    assert 'training F</th><td class="number">24 s' in time
    assert "making views 6 s" in time
    assert "A training held 1.50 GiB of main memory at most." in time


def test_what_is_missing_is_said_in_its_place(page, tmp_path):
    missing = page.part("predictions")
    assert "Not drawn: no check was made yet: infaug influence validate" in missing
    # A run without books, whose images are not those it was trained on.
    bare = Page(write_report(finished_run(tmp_path / "run")).read_text())
    must_need_nothing(bare)
    assert "no step of F has been reported yet" in bare.part("curves")
    for anchor in ("pictures", "toward_target", "learned", "extremes"):
        assert 'class="missing">Not drawn: ' in bare.part(anchor)
    assert "s_val was not solved for" in bare.part("refreshes")
    assert "no step has been timed yet" in bare.part("compute")
    assert '<th scope="row">pooled_learned<' in bare.part("results")


def test_without_a_learned_method_the_page_has_no_sections_of_learning(tmp_path):
    run = finished_run(
        tmp_path / "run", methods={"base": (0.5, 0.5), "pooled": (0.4, 0.2)}
    )
    anchors = re.findall(r'<section id="(\w+)"', write_report(run).read_text())
    assert anchors == ["results", "curves", "compute", "settings"]


def test_a_run_that_goes_on_shows_what_there_is_and_says_so(going):
    page = Page(write_report(going).read_text())
    must_need_nothing(page)
    top = page.said.split("Results")[0]
    assert "This experiment is not finished, and nothing is decided yet." in top
    assert "5 of 6 trainings are done" in top
    assert "paired interval unknown, 1 seed)" in top
    assert "(finished trainings only)" in page.said
    assert page.all("img")


def test_a_run_that_has_not_begun_to_train_has_a_page(tmp_path, run):
    (tmp_path / "asked.json").write_text((run / "asked.json").read_text())
    page = Page(write_report(tmp_path).read_text())
    assert "It has not begun to train." in page.said


def test_a_picture_that_fails_leaves_the_others(run, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("infaug.report.experiment_page.rank_views", fail)
    with pytest.warns(UserWarning, match="was not drawn: RuntimeError: a bug of ours"):
        page = Page(write_report(run, out=tmp_path / "page.html").read_text())
    assert "Not drawn: RuntimeError: a bug of ours" in page.part("extremes")
    assert "<img" in page.part("pictures")


def test_a_finished_run_does_not_fail_for_its_report(tmp_path, run, monkeypatch):
    (said,) = report_at_end(tmp_path, "somewhere", is_new=True)
    assert re.match(
        "report: not drawn .*no experiment of infaug.*; infaug report somewhere", said
    )
    monkeypatch.setattr("infaug.report.experiment_page.Drawing", pytest.fail)
    (tmp_path / "report.html").write_text("an old one")
    assert report_at_end(tmp_path, "here", is_new=False) == ["report: here/report.html"]


def test_several_runs_stand_side_by_side(run, going, tmp_path, capsys):
    out = tmp_path / "both.html"
    assert main(["report", str(run), str(going), "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    page = Page(out.read_text())
    must_need_nothing(page)
    assert "2 experiments side by side" in page.said
    names = [f"{each.parent.name}/run" for each in (run, going)]
    for anchor in ("verdicts", "tables", "curves_of_runs"):
        for name in names:
            assert name in page.part(anchor), anchor
    assert "45.00" in page.part("tables")
    assert "None." in page.part("differences")


def test_the_command_asks_for_the_same_run_again():
    other = in_mode(CONFIG, "cvpr")
    for config in (CONFIG, other):
        words = shlex.split(command(config, "NEW").replace("\\\n", " "))
        assert words[:2] == ["infaug", "fit"]
        requested = parse_fit(words[2:], None)
        assert (requested.run, requested.out) == (config, "NEW")


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    store = fsspec.filesystem("memory")
    yield "memory://report"
    store.rm("/report", recursive=True)


def test_at_a_url_a_finished_run_keeps_its_report_and_a_going_one_is_only_read(
    run, going, url, tmp_path, capsys
):
    store = fsspec.filesystem("memory")
    for name, source in (("done", run), ("going", going)):
        store.put(str(source), f"/report/{name}", recursive=True)
        store.pipe(f"/report/{name}/report.html", b"an old one")
    before = {name: store.cat(name) for name in store.find("/report/going")}
    assert main(["report", f"{url}/done"]) == 0
    assert main(["report", f"{url}/going"]) == 0
    said = capsys.readouterr().out
    assert f"wrote {url}/done/report.html" in said
    assert "wrote report.html" in said
    assert store.cat("/report/done/report.html").startswith(b"<!doctype html>")
    assert {n: store.cat(n) for n in store.find("/report/going")} == before
    assert "5 of 6 trainings" in (tmp_path / "report.html").read_text()
