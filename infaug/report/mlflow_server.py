"""MLflow at an address: the only file that imports it, which is an extra.

Left alone, MLflow tells its makers how it is used, and waits minutes for a server that
is not there. Here it tells nobody, and says within seconds that nobody answers. What
its own variables say (MLFLOW_HTTP_REQUEST_TIMEOUT and the like) still counts.
"""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from infaug.storage import cause

EXPERIMENT = "infaug"
ANSWER_S = 30.0  # a database made anew takes some seconds, a dead one is asked for 100
FIRST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
LATER = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}
SILENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}

Found = TypeVar("Found")


@dataclass(frozen=True)
class Server:
    """MLflow's client and entities, and the experiment that runs are put into."""

    uri: str
    client: Any
    entities: Any
    experiment: str
    """Its number."""

    def tagged(self, tag: str, value: str) -> list[Any]:
        """The runs that have this tag; those in MLflow's bin have been given up."""
        found, token = [], None
        while True:
            page = self.client.search_runs(
                [self.experiment], f"tags.`{tag}` = '{value}'", page_token=token
            )
            found += page
            if not (token := page.token):
                return found

    def address(self, run: str) -> str:
        """Where people look at a run."""
        if self.uri.startswith("http"):
            place = f"experiments/{self.experiment}/runs/{run}"
            return f"{shown(self.uri).rstrip('/')}/#/{place}"
        return f"{shown(self.uri)} (mlflow ui --backend-store-uri {shown(self.uri)})"


def connect(uri: str) -> Server:
    """The experiment at an address, which MLFLOW_EXPERIMENT_NAME may name.

    Raises:
        ValueError: if MLflow is not installed, or cannot be written at that address.
    """
    mlflow = _installed()
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT

    def ask() -> Server:
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        number = found.experiment_id if found else client.create_experiment(name)
        return Server(uri, client, mlflow.entities, number)

    with reaching(uri), _unless_set(FIRST):
        return _within(ANSWER_S, ask)


@contextlib.contextmanager
def writing(uri: str) -> Iterator[None]:
    """What follows is sent with more patience than the first question."""
    with reaching(uri), _unless_set(LATER):
        yield


@contextlib.contextmanager
def reaching(uri: str) -> Iterator[None]:
    """What goes wrong at an address is told with a remedy."""
    try:
        yield
    except Exception as error:  # its own, of databases, of clouds' libraries: no end
        raise ValueError(
            shown(
                f"MLflow at {uri} cannot be written ({cause(error)}): see that the "
                "address and credentials are right; sqlite:///mlflow.db is one that "
                "needs no server"
            )
        ) from error


def shown(text: str) -> str:
    """A text without the passwords of its addresses.

    >>> shown("postgresql://me:secret@host/runs cannot be reached")
    'postgresql://me:***@host/runs cannot be reached'
    """
    return re.sub(r"(://[^\s/:@]*):[^\s/@]+@", r"\1:***@", text)


def _installed() -> Any:
    os.environ.update(SILENT)  # read while it is imported
    try:
        return import_module("mlflow")
    except ImportError as error:
        raise ValueError("--mlflow needs MLflow: pip install 'infaug[mlflow]'") from (
            error
        )


@contextlib.contextmanager
def _unless_set(settings: Mapping[str, str]) -> Iterator[None]:
    """Variables of the environment for a while; those that the user set stay."""
    ours = {name: each for name, each in settings.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _within(seconds: float, act: Callable[[], Found]) -> Found:
    """What `act` returns or raises, unless that takes too long.

    Its thread is then left to itself: it ends with the process.
    """
    told: list[Found | Exception] = []

    def work() -> None:
        try:
            told.append(act())
        except Exception as error:  # raised below, where somebody listens
            told.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not told:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    if isinstance(told[0], Exception):
        raise told[0]
    return told[0]
