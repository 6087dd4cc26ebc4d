"""`infaug report`: what a run did, on one page that opens anywhere."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from infaug.cli.flags import look_for_run


@dataclass(frozen=True, kw_only=True)
class Report:
    """Draw the report of a run, or put several runs side by side.

    One HTML file that loads nothing and runs nothing. `infaug fit` draws it when a run
    ends; this draws it again, also while a run still goes on: it is only read.
    """

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders, or their URLs, finished or not."""
    out: Path | None = None
    """The file; none: report.html in the run's folder. Of several runs, and of a run at
    a URL that still goes on: report.html in this folder."""
    mlflow: str | None = None
    """Also send what is new of each run to MLflow: http://host:5000, sqlite:///runs.db.
    MLFLOW_EXPERIMENT_NAME names the experiment; unset: infaug."""


def report(args: Report) -> int:
    """`infaug report`."""
    if not args.runs:
        raise ValueError("name a run: infaug report RUN [RUN ...]")
    look_for_run(*args.runs)
    from infaug.report.comparison import write_comparison

    if len(args.runs) == 1:
        page = _one(args.runs[0], args.out)
        print(f"wrote {page}")
        if args.mlflow:
            _send(args.runs, args.mlflow, page if isinstance(page, Path) else None)
        return 0
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(_read(place)) for place in args.runs]
        out = args.out or Path("report.html")
        print(f"wrote {write_comparison(paths, args.runs, out)}")
    if args.mlflow:
        _send(args.runs, args.mlflow, None)
    return 0


def _send(places: tuple[str, ...], uri: str, page: Path | None) -> None:
    """Tell MLflow of the runs; each has its own report in its folder, if not `page`."""
    from infaug.report.experiment_page import REPORT
    from infaug.report.mlflow import send_run

    for place in places:
        with _read(place) as run:
            print(send_run(run, place, uri, page or run / REPORT))


def _one(place: str, out: Path | None) -> Path | str:
    from infaug.record.folder import RunFolder, local_copy
    from infaug.report.experiment_page import REPORT, write_report

    folder = RunFolder(place)
    with _read(place) as run:
        # Only whoever runs may write to the URL of a run that goes on.
        if folder.mirror is None or out or not (run / "result.json").exists():
            here = Path(REPORT) if folder.mirror else None
            return write_report(run, place, out or here)
    with local_copy(place) as run:
        write_report(run, place)
    return f"{place}/{REPORT}"


@contextlib.contextmanager
def _read(place: str) -> Iterator[Path]:
    """A run's folder on this machine, to be read."""
    from infaug.record.folder import RunFolder

    folder = RunFolder(place)
    if folder.mirror:
        folder.mirror.bring()
    yield folder.path
