"""`infaug report`: what a run did, on one page that opens anywhere."""

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
    from infaug.record.folder import RunFolder
    from infaug.report.comparison import write_comparison
    from infaug.report.experiment_page import REPORT

    paths, page = [RunFolder(place).bring().path for place in args.runs], None
    if len(paths) == 1:
        page = _one(args.runs[0], paths[0], args.out)
        print(f"wrote {page}")
    else:
        out = args.out or Path(REPORT)
        print(f"wrote {write_comparison(paths, args.runs, out)}")
    if args.mlflow:
        from infaug.report.mlflow import send_run

        for place, run in zip(args.runs, paths, strict=True):
            own = page if isinstance(page, Path) else run / REPORT
            print(send_run(run, place, args.mlflow, own))
    return 0


def _one(place: str, run: Path, out: Path | None) -> Path | str:
    """Draw the page of a run; its file, or its URL."""
    from infaug.record.folder import RunFolder, local_copy
    from infaug.report.experiment_page import REPORT, write_report

    mirror = RunFolder(place).mirror
    # Only whoever runs may write to the URL of a run that goes on.
    if mirror is None or out or not (run / "result.json").exists():
        return write_report(run, place, out or (Path(REPORT) if mirror else None))
    with local_copy(place) as copy:
        write_report(copy, place)
    return f"{place}/{REPORT}"
