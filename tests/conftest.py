"""What holds for every test: one thread, the same seeds each time, checked shapes."""

import os

# One thread a process: tests are small, and the same bytes must come out anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook(
    ["infaug", "git_networks", "git_transfer", "tail_batches"], "shape_checks.check"
)

# A test that fails once in a thousand draws fails for somebody else, unrepeatably.
SEED = 2020


def pytest_collectstart() -> None:
    torch.manual_seed(SEED)  # Some modules draw their cases while they are imported.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files and Ray's come first: no process should work alone at the end."""

    def is_quick(item: pytest.Item) -> bool:
        return not any(item.get_closest_marker(name) for name in ("long", "ray"))

    items.sort(key=is_quick)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    torch.manual_seed(SEED)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """What is kept for later starts is not the user's."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def splits():
    """The images of the tiny run."""
    from tiny import CONFIG

    from infaug.data.problem import load_splits

    return load_splits(CONFIG.data)


class Clock:
    """Shows the time that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """`infaug fit` without pictures, page and check of influences: most of its time."""
    nothing = list[str]()
    for end in (
        "report.views.draw_pictures",
        "report.experiment_page.report_at_end",
        "cli.influence.check_in_run",
    ):
        monkeypatch.setattr(f"infaug.{end}", lambda *_, **__: nothing)
