"""The report in a real browser: headless Chromium, where there is one."""

import html
import json
import shutil
import subprocess

import pytest
from pictured import pictured_run

from infaug.report.experiment_page import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
TELEPHONE, DESK = 390, 1200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: apt-get install chromium brings one"
    ),
]

# A page without a script of its own is looked at through one that frames it.
LOOK = """
<body><iframe src="%s" style="width: %dpx; height: 9000px"></iframe><script>
window.onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const colour = (e, what) => page.defaultView.getComputedStyle(e)[what];
  document.body.textContent = JSON.stringify({
    wide: page.documentElement.scrollWidth,
    broken: [...page.images].filter((i) => i.complete && !i.naturalWidth).length,
    images: page.images.length,
    tiny: [...page.querySelectorAll("svg.chart text")].filter(
      (t) => t.getBoundingClientRect().height < 9 && t.checkVisibility()).length,
    paper: colour(page.body, "backgroundColor"),
    ink: colour(page.body, "color"),
    curves: [...page.querySelectorAll("#curves svg.chart path")].filter(
      (c) => parseFloat(colour(c, "strokeWidth")) > 1.4
    ).map((c) => colour(c, "stroke")),
  });
};
</script></body>
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(pictured_run(tmp_path_factory.mktemp("browser") / "run"))


def look(report, width: int, *, is_dark: bool) -> dict:
    """What Chromium says of the page; the profile is thrown away."""
    frame = report.with_name("look.html")
    frame.write_text(LOOK % (report.name, width))
    profile = report.with_name("profile")
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--allow-file-access-from-files", f"--user-data-dir={profile}",
        "--virtual-time-budget=5000", "--window-size=1400,9000",
        f"--blink-settings=preferredColorScheme={0 if is_dark else 1}", frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, timeout=240)
    body = done.stdout.decode().split("<body>")[1].split("</body>")[0]
    return json.loads(html.unescape(body))


def lightness(colour: str) -> float:
    """The mean of red, green and blue, of `rgb(r, g, b)`."""
    return sum(map(float, colour.strip("rgb()").split(","))) / 3


@pytest.mark.parametrize("width", [TELEPHONE, DESK])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_page_fits_its_window_and_can_be_read(report, width, is_dark):
    seen = look(report, width, is_dark=is_dark)
    assert seen["wide"] <= width
    assert seen["images"] > 60
    assert (seen["broken"], seen["tiny"]) == (0, 0)
    paper = lightness(seen["paper"])
    assert (paper < 60) == is_dark
    assert seen["curves"]
    for colour in (seen["ink"], *seen["curves"]):
        assert abs(lightness(colour) - paper) > 90
