"""An experiment in MLflow: a run for its folder, nested in it one for each training.

Runs are found again by their tags. A training that is there and finished is not sent
again; one that goes on is sent whole each time, as MLflow's databases keep points of
the same name, step, time and value once.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

from infaug.experiment.verdict import Verdict
from infaug.report.experiment_data import (
    ExperimentData,
    read_experiment,
    settings_of,
    versions,
)
from infaug.report.logs import LoggedTraining, Points, seconds_of, trainings_of
from infaug.report.results import method_results
from infaug.report.verdict import describe
from infaug.report.words import short
from infaug.storage import cause, is_url, location
from infaug.words import plural

EXPERIMENT, TRAINING = "infaug.run", "infaug.training"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
GROWING = "seeds"  # may grow later, and a parameter in MLflow never changes
# MLflow's limits; of older servers where these are lower. Longer texts are cut:
# config.json, which MLflow has too, holds all of them.
MAX_METRICS, MAX_PARAMS, MAX_PARAM_CHARS, MAX_TAG_CHARS = 900, 100, 500, 5000
MAX_RUNS = 50_000
# Read by MLflow, which would wait minutes for a server that is gone, and send its
# makers usage statistics. What the user sets counts.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}


@dataclass(frozen=True)
class Server:
    """MLflow's client and entities, and the number of its experiment."""

    client: Any
    entities: Any
    experiment: str

    def tagged(self, tag: str, value: str) -> list[Any]:
        """The runs that have this tag; deleted ones left out."""
        query = f"tags.`{tag}` = '{value}'"
        return self.client.search_runs([self.experiment], query, max_results=MAX_RUNS)

    def create(
        self,
        title: str,
        tags: dict[str, str],
        named: Mapping[str, str],
        start: int | None = None,
    ) -> Any:
        """A run with tags and parameters."""
        run = self.client.create_run(self.experiment, start, tags, title)
        params = [
            self.entities.Param(name, short(value, MAX_PARAM_CHARS))
            for name, value in named.items()
        ]
        for k in range(0, len(params), MAX_PARAMS):
            self.client.log_batch(run.info.run_id, params=params[k : k + MAX_PARAMS])
        return run

    def log(self, run: str, points: Points, when: int) -> None:
        """Add points to a run, all at one time, milliseconds."""
        metrics = [self.entities.Metric(n, v, when, step) for n, v, step in points]
        for k in range(0, len(metrics), MAX_METRICS):
            self.client.log_batch(run, metrics=metrics[k : k + MAX_METRICS])


def connect(uri: str) -> Server:
    """The experiment at an address, which MLFLOW_EXPERIMENT_NAME may name.

    Raises:
        ValueError: if MLflow is not installed, or cannot be written at that address.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        mlflow = import_module("mlflow")
    except ImportError as error:
        remedy = "--mlflow needs MLflow: pip install 'infaug[mlflow]'"
        raise ValueError(remedy) from error
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "infaug"
    with _explained(uri):
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        number = found.experiment_id if found else client.create_experiment(name)
        return Server(client, mlflow.entities, number)


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    """What goes wrong at an address is reported with a remedy."""
    try:
        yield
    except Exception as error:  # its own, of databases, of clouds' libraries: no end
        text = (
            f"MLflow at {uri} cannot be written ({cause(error)}): check that the "
            "address and credentials are right; sqlite:///mlflow.db is one that "
            "needs no server"
        )
        raise ValueError(without_password(text)) from error


def without_password(text: str) -> str:
    """A text without the passwords of its addresses.

    >>> without_password("postgresql://me:secret@host/runs cannot be reached")
    'postgresql://me:***@host/runs cannot be reached'
    """
    return re.sub(r"(://[^\s/:@]*):[^\s/@]+@", r"\1:***@", text)


def send_run(run: Path, name: str, uri: str, page: Path | None = None) -> str:
    """Send what is new of an experiment, finished or not; how much that was, in words.

    `name` is what the user calls its folder, `page` its report.

    Raises:
        ValueError: if the folder is no run or has not begun, or MLflow is not there.
    """
    experiment = read_experiment(run, name)
    if not experiment.is_resolved or not (experiment.timings or experiment.is_finished):
        raise ValueError(
            f"{name} has not begun to train: there is nothing to send yet, rerun the "
            "command when it has"
        )
    server = connect(uri)
    with _explained(uri):
        parent = _parent(server, experiment)
        number = parent.info.run_id
        known = {r.data.tags[TRAINING]: r for r in server.tagged(PARENT, number)}
        points = [
            _send_training(server, number, title, each, known.get(title))
            for title, each in trainings_of(experiment).items()
        ]
        files = [run / "config.json", run / "result.json", *sorted(run.glob("*.png"))]
        for path in [*files, *([page] if page else [])]:
            if path.exists():
                server.client.log_artifact(number, str(path))
        _send_summary(server, parent, experiment)
    sent = plural(sum(points), "point")
    trainings = plural(sum(map(bool, points)), "training")
    return (
        f"MLflow: sent {sent} of {trainings} to run {number} at {without_password(uri)}"
    )


def send_at_end(run: Path, name: str, uri: str) -> str:
    """What `infaug fit` prints about it; the run itself is finished and kept.

    Raises:
        ValueError: if it could not be sent: the run itself is finished and kept.
    """
    try:
        return send_run(run, name, uri, run / "report.html")
    except ValueError as error:
        raise ValueError(
            f"the run is finished and kept in {name}, but {error}. infaug report "
            f"{name} --mlflow URI sends it later"
        ) from error


def _parent(server: Server, experiment: ExperimentData) -> Any:
    """The run of the folder, with its settings."""
    mark = mark_of(experiment)
    if found := server.tagged(EXPERIMENT, mark):
        return found[0]
    began = round(1000 * (time.time() - seconds_of(experiment.timings)))
    settings = settings_of(experiment.requested, experiment.config)
    named = {each.name: each.value for each in settings if each.name != GROWING}
    return server.create(experiment.path.name, {EXPERIMENT: mark}, named, began)


def mark_of(experiment: ExperimentData) -> str:
    """The same for the same experiment, wherever its folder lies by now.

    Of settings that stay, images, and the first seconds that were measured: these no
    other experiment has, not even one of the same settings in the same place.
    """
    config = json.loads((experiment.path / "config.json").read_text())
    config.pop(GROWING)
    about = [config, experiment.images, experiment.timings[:1]]
    text = json.dumps(about, sort_keys=True)
    return blake2b(text.encode(), digest_size=10).hexdigest()


def _send_training(
    server: Server, parent: str, name: str, training: LoggedTraining, known: Any
) -> int:
    """Send a training unless it is there and finished; how many points that is."""
    if known is None:
        labels = {"method": training.method, "seed": str(training.seed)}
        known = server.create(name, {PARENT: parent, TRAINING: name}, labels)
    if known.info.status == "FINISHED":
        return 0
    number, began, points = known.info.run_id, known.info.start_time, training.points
    if training.result is not None:
        at = points[-1][2] if points else 0
        points = [*points, *((n, value, at) for n, value in training.result.items())]
    server.log(number, points, began)
    if training.result is not None:
        end = began + round(1000 * training.seconds)
        server.client.set_terminated(number, end_time=end)
    return len(points)


def _send_summary(server: Server, parent: Any, experiment: ExperimentData) -> None:
    """What changes while an experiment runs: verdict, means over seeds, its end."""
    number, name = parent.info.run_id, experiment.name
    place = name if is_url(name) else str(experiment.path.absolute())
    about = {
        "infaug.version": dict(versions())["infaug"],
        "infaug.place": location(place).absolute,
        "infaug.seeds": str(experiment.config.seeds),
    }
    if experiment.result is not None:
        found = Verdict.from_dict(experiment.result["verdict"])
        verdict = describe(found, is_folded=experiment.is_folded)
        about |= {"infaug.verdict": verdict, NOTE: verdict}
    for tag, value in about.items():
        server.client.set_tag(number, tag, short(value, MAX_TAG_CHARS))
    results = method_results(experiment)
    means = {f"test_top1/{each.method}": each.mean for each in results}
    means |= {f"test_loss/{each.method}": each.loss for each in results}
    points = [
        (metric, value, experiment.num_done)
        for metric, value in means.items()
        if value is not None and parent.data.metrics.get(metric) != value
    ]
    server.log(number, points, round(1000 * time.time()))
    if experiment.is_finished and parent.info.status != "FINISHED":
        server.client.set_terminated(number)
