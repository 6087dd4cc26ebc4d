"""A run in MLflow: one run for its folder, and within it one for each cell.

The folder's run has settings, verdict, means over seeds and files; a cell's has its
curves and the numbers it ended with. Runs are found again by their tags, and a tag says
how many lines of a curve are there, so whatever was sent is not sent again. A run that
goes on from a checkpoint repeats lines with the same numbers: they are passed over.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from infaug.report.facts import read_facts
from infaug.report.mlflow_server import Server, connect, writing
from infaug.report.tracked import Logged, Tracked, TrackedCell, tracked
from infaug.words import plural

RUN, LINES, FILES = "infaug.run", "infaug.lines", "infaug.files"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
# MLflow's limits; of older servers where these are lower.
MOST_NUMBERS, MOST_PARAMS, LONGEST_PARAM, LONGEST_TAG = 900, 100, 500, 5000


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What was new, and where it is."""

    points: int
    cells: int
    """That had something new."""
    files: int
    address: str

    def said(self) -> str:
        """In words.

        >>> Sent(points=30, cells=1, files=0, address="sqlite:///a.db").said()
        'MLflow: sent 30 points of 1 cell and 0 files, to sqlite:///a.db'
        """
        points, cells = plural(self.points, "point"), plural(self.cells, "cell")
        return (
            f"MLflow: sent {points} of {cells} and {plural(self.files, 'file')}, to "
            f"{self.address}"
        )


def send_run(run: Path, name: str, uri: str, page: Path | None = None) -> Sent:
    """Tell MLflow what is new of a run, finished or still going.

    Args:
        run: its folder.
        name: what the user calls it.
        uri: MLflow's address.
        page: its report.

    Raises:
        ValueError: if the folder is no run or has not begun, or MLflow is not there.
    """
    told = tracked(read_facts(run, name))
    server = connect(uri)
    files = [*told.files, *([page] if page and page.exists() else [])]
    with writing(uri):
        parent = _parent(server, told)
        number = parent.info.run_id
        held = {
            r.data.tags.get("infaug.cell"): r for r in server.tagged(PARENT, number)
        }
        points = [
            _send_cell(server, number, cell, held.get(cell.name)) for cell in told.cells
        ]
        num_files = _send_files(server, parent, files)
        _send_summary(server, parent, told)
        return Sent(
            points=sum(points),
            cells=sum(count > 0 for count in points),
            files=num_files,
            address=server.address(number),
        )


def send_at_end(run: Path, name: str, uri: str) -> str:
    """What `infaug fit` says of it.

    Raises:
        ValueError: if it could not be sent: the run itself is finished and kept.
    """
    try:
        return send_run(run, name, uri, run / "report.html").said()
    except ValueError as error:
        raise ValueError(
            f"the run is finished and kept in {name}, but {error}. infaug report "
            f"{name} --mlflow URI sends it later"
        ) from error


def _parent(server: Server, told: Tracked) -> Any:
    """The folder's run, with its settings."""
    found = server.tagged(RUN, told.mark)
    if found:
        parent = found[0]
    else:
        start = round(1000 * (time.time() - told.seconds))
        parent = server.client.create_run(
            server.experiment, start, {RUN: told.mark}, told.title
        )
    params = {
        key: _cut(value, LONGEST_PARAM)
        for key, value in told.settings.items()
        if key not in parent.data.params
    }
    for batch in _parts(list(params.items()), MOST_PARAMS):
        entities = [server.entities.Param(*each) for each in batch]
        server.client.log_batch(parent.info.run_id, params=entities)
    return parent


def _send_cell(server: Server, parent: str, cell: TrackedCell, held: Any) -> int:
    """Send what is new of a cell; how many points that is.

    All have the time at which the cell's run began: a batch of which it is not known
    whether it arrived may be sent twice, and databases keep equal points once.
    """
    if held is None:
        tags = {PARENT: parent, "infaug.cell": cell.name, LINES: "0"}
        held = server.client.create_run(
            server.experiment, tags=tags, run_name=cell.name
        )
        own = {"row": cell.row, "seed": str(cell.seed)}
        params = [server.entities.Param(*each) for each in own.items()]
        server.client.log_batch(held.info.run_id, params=params)
    number, began = held.info.run_id, held.info.start_time
    done, sent = int(held.data.tags.get(LINES, 0)), 0
    for batch in _batches(cell.lines[done:]):
        done += len(batch)
        points = [
            (n, v, line.position) for line in batch for n, v in line.numbers.items()
        ]
        _log(server, number, points, began, {LINES: str(done)})
        sent += len(points)
    if cell.found is not None and held.info.status != "FINISHED":
        points = [(n, v, cell.position) for n, v in cell.found.items()]
        _log(server, number, points, began, {})
        end = began + round(1000 * cell.seconds)
        server.client.set_terminated(number, end_time=end)
        sent += len(points)
    return sent


def _send_files(server: Server, parent: Any, files: Sequence[Path]) -> int:
    """Send all files if one of them has changed; how many were sent."""
    digest = blake2b(digest_size=10)
    for path in files:
        digest.update(path.name.encode() + path.read_bytes())
    if parent.data.tags.get(FILES) == digest.hexdigest():
        return 0
    for path in files:
        server.client.log_artifact(parent.info.run_id, str(path))
    server.client.set_tag(parent.info.run_id, FILES, digest.hexdigest())
    return len(files)


def _send_summary(server: Server, parent: Any, told: Tracked) -> None:
    """What changes as a run goes on: words, means over seeds, that it is finished."""
    number = parent.info.run_id
    verdict = told.about.get("infaug.verdict")
    about = {**told.about, **({NOTE: verdict} if verdict else {})}
    tags = {key: _cut(value, LONGEST_TAG) for key, value in about.items()}
    new = {k: v for k, v in tags.items() if parent.data.tags.get(k) != v}
    known = parent.data.metrics
    finished = sum(cell.found is not None for cell in told.cells)
    points = [
        (name, value, finished)
        for name, value in told.found.items()
        if known.get(name) != value
    ]
    for part in _parts(points, MOST_NUMBERS) or [[]]:
        _log(server, number, part, round(1000 * time.time()), new)
    if verdict and parent.info.status != "FINISHED":
        server.client.set_terminated(number)


def _log(
    server: Server,
    run: str,
    points: Sequence[tuple[str, float, int]],
    when: int,
    tags: Mapping[str, str],
) -> None:
    make = server.entities
    server.client.log_batch(
        run,
        metrics=[make.Metric(name, value, when, step) for name, value, step in points],
        tags=[make.RunTag(*each) for each in tags.items()],
    )


def _batches(lines: Sequence[Logged]) -> Iterator[list[Logged]]:
    """Whole lines, as many as a batch has room for."""
    batch: list[Logged] = []
    room = MOST_NUMBERS
    for line in lines:
        if batch and len(line.numbers) > room:
            yield batch
            batch, room = [], MOST_NUMBERS
        batch.append(line)
        room -= len(line.numbers)
    if batch:
        yield batch


def _parts(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    """Pieces of at most so many.

    >>> _parts("abcde", 2)
    ['ab', 'cd', 'e']
    """
    return [items[k : k + most] for k in range(0, len(items), most)]


def _cut(text: str, longest: int) -> str:
    """A text that MLflow takes; config.json, which it is given too, has all of it.

    >>> _cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"
