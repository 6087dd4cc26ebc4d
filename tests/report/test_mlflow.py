"""A run in MLflow: all of it once, whatever is new later, and no waiting for nobody."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from pictured import metrics, pictured_run, unfinished_run

from infaug.cli.main import main
from infaug.cli.terminal import BAD_INPUT
from infaug.config import RunConfig, leaves
from infaug.record.steps import Position, global_step
from infaug.report.experiment_data import read_experiment
from infaug.report.logs import trainings_of
from infaug.report.mlflow import connect, mark_of, send_at_end, send_run

NOBODY = "http://127.0.0.1:9"
REASON = "MLflow is an extra: pip install -e '.[mlflow]'"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A database that needs no server."""
    pytest.importorskip("mlflow", reason=REASON)
    folder = tmp_path_factory.mktemp("mlflow")
    before = os.getcwd()
    os.chdir(folder)  # where MLflow puts the files of such a database
    yield f"sqlite:///{folder}/runs.db"
    os.chdir(before)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return pictured_run(tmp_path_factory.mktemp("sent") / "run")


@pytest.fixture(scope="module")
def going(run, tmp_path_factory):
    return unfinished_run(tmp_path_factory.mktemp("going") / "run", run)


class Kept:
    """What the database holds of the run of a name."""

    def __init__(self, uri: str, title: str):
        server = connect(uri)
        self.client = server.client
        named = f"attributes.run_name = '{title}'"
        (self.run,) = self.client.search_runs([server.experiment], named)
        children = server.tagged("mlflow.parentRunId", self.run.info.run_id)
        self.trainings = {each.info.run_name: each for each in children}
        assert len(self.trainings) == len(children), "each training is one run"

    def points(self, training: str, name: str) -> list[tuple[int, float]]:
        number = self.trainings[training].info.run_id
        history = self.client.get_metric_history(number, name)
        return [(point.step, point.value) for point in history]

    def all_points(self) -> dict[tuple[str, str], list[tuple[int, float]]]:
        return {
            (training, name): sorted(self.points(training, name))
            for training, run in self.trainings.items()
            for name in run.data.metrics
        }


def named(run, title, tmp_path):
    """The run, as one of its own: with another first second."""
    copy = shutil.copytree(run, tmp_path / title)
    path = copy / "trainings" / "base-seed0" / "timings.jsonl"
    path.write_text(
        path.read_text().replace("2.0,", f"2.{hash(title) % 10**9:09d},", 1)
    )
    return copy


def test_a_finished_run_is_there_with_its_settings_curves_and_files(run, uri, tmp_path):
    run = named(run, "whole", tmp_path)
    (run / "report.html").write_text("<html></html>")
    sent = send_run(run, "whole", uri, run / "report.html")
    kept = Kept(uri, "whole")
    assert kept.run.info.status == "FINISHED"
    assert kept.run.data.params["rounds.classifier_steps"] == "6"
    assert len(kept.run.data.params) > 100, "more than MLflow takes at a time"
    names = [name for name, _ in leaves(RunConfig()) if name != "seeds"]
    assert set(kept.run.data.params) == set(names)
    assert kept.run.data.tags["infaug.verdict"].startswith("no gain")
    assert kept.run.data.tags["infaug.place"] == str(run)
    assert kept.run.data.metrics["test_top1/base_learned"] == pytest.approx(30)
    names = {f.path for f in kept.client.list_artifacts(kept.run.info.run_id)}
    assert {"report.html", "config.json", "result.json"} <= names
    assert set(kept.trainings) == {f"{m['method']}-seed{m['seed']}" for m in metrics()}
    assert all(each.info.status == "FINISHED" for each in kept.trainings.values())
    loss = kept.points("base_learned-seed1", "classify/loss")
    assert [value for _, value in loss] == [2.0, 1.0]
    assert loss[0][0] == 6
    assert [value for _, value in kept.points("base-seed0", "test_top1")] == [50.0]
    assert f"sent {sum(map(len, kept.all_points().values()))} points of 6 " in sent


def test_what_was_sent_is_not_sent_again(run, uri, tmp_path):
    run = named(run, "again", tmp_path)
    send_run(run, "again", uri)
    before = Kept(uri, "again").all_points()
    second = send_run(run, "again", uri)
    assert "sent 0 points of 0 trainings" in second
    assert Kept(uri, "again").all_points() == before


def test_a_run_that_goes_on_is_given_what_is_new(run, going, uri, tmp_path):
    """It is killed past its checkpoint, too: what it repeats is there already."""
    going = named(going, "going", tmp_path)
    journal = going / "trainings" / "pooled_learned-seed1" / "metrics.jsonl"
    whole = journal.read_text().splitlines(keepends=True)[:-1]
    for num_lines in (len(whole) - 1, len(whole) - 2):
        journal.write_text("".join(whole[:num_lines]))
        send_run(going, "going", uri)
        kept = Kept(uri, "going")
        assert kept.run.info.status == "RUNNING"
        assert len(kept.points("pooled_learned-seed1", "classify/loss")) == 1
    shutil.copytree(run, going, dirs_exist_ok=True, ignore=_timings)
    send_run(going, "going", uri)
    ended = Kept(uri, "going")
    assert ended.run.info.status == "FINISHED"
    send_run(named(run, "undisturbed", tmp_path), "undisturbed", uri)
    assert ended.all_points() == Kept(uri, "undisturbed").all_points()


def _timings(folder, names):
    del folder, names
    return ["timings.jsonl"]


def test_a_batch_of_which_it_is_unknown_whether_it_arrived_is_kept_once(
    run, uri, tmp_path
):
    run = named(run, "unsure", tmp_path)
    send_run(run, "unsure", uri)
    kept = Kept(uri, "unsure")
    before = kept.all_points()
    number = kept.trainings["base-seed0"].info.run_id
    kept.client.update_run(number, status="RUNNING")
    assert "of 1 training to run" in send_run(run, "unsure", uri)
    assert Kept(uri, "unsure").all_points() == before


def test_an_address_where_nobody_answers_is_told_within_seconds(run):
    pytest.importorskip("mlflow", reason=REASON)
    began = time.monotonic()
    with pytest.raises(ValueError, match="credentials are right"):
        connect(NOBODY)
    with pytest.raises(ValueError, match=r"kept in my/run, .* --mlflow URI sends it"):
        send_at_end(run, "my/run", NOBODY)
    assert time.monotonic() - began < 10


def test_mlflow_is_told_to_tell_nobody(uri):
    """Asked in a process of its own: under pytest, and in CI, it never tells."""
    program = (
        "import sys\n"
        "from infaug.report.mlflow import connect\n"
        "connect(sys.argv[1])\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "assert get_telemetry_client() is None\n"
    )
    kept = {k: os.environ[k] for k in ("PATH", "PYTHONPATH") if k in os.environ}
    command = [sys.executable, "-c", program, uri]
    subprocess.run(command, check=True, env=kept)


def test_without_mlflow_a_fit_does_not_begin(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    out = tmp_path / "run"
    requested = ["fit", "--data", "digits", "--out", str(out), "--mlflow", NOBODY]
    assert main(requested) == BAD_INPUT
    assert "pip install 'infaug[mlflow]'" in capsys.readouterr().err
    assert not out.exists()


def test_a_run_is_kept_if_mlflow_is_gone_by_its_end(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("infaug.report.mlflow.connect", lambda uri: None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    out = tmp_path / "run"
    requested = ["fit", "--data", "digits", "--out", str(out), "--mlflow", NOBODY]
    requested += ["--labels", "60", "--target", "60", "--seeds", "1"]
    requested += ["--methods", "base"]
    requested += ["--classifier.batch-size", "8", "--classifier.batch-groups", "2"]
    requested += ["--network", "allconv", "--rounds.classifier-steps", "2"]
    assert main(requested) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("RESULT ")
    assert (out / "result.json").exists()
    last = said.err.splitlines()[-1]
    assert f"finished and kept in {out}" in last
    assert f"infaug report {out} --mlflow URI sends it later" in last


def test_every_number_is_sent_at_its_place_on_tensorboards_axis(run):
    """No MLflow is needed for this and what follows."""
    experiment = read_experiment(run, "run")
    sent = {(t.method, t.seed): t for t in trainings_of(experiment).values()}
    for line in metrics():
        at = {key: line[key] for key in ("round", "phase", "step")}
        here = global_step(Position(**at), experiment.config.rounds)
        points = sent[line["method"], line["seed"]].points
        mine = {name: value for name, value, place in points if place == here}
        for name in set(line) - {"method", "seed", *at}:
            value = mine.get(f"{line['phase']}/{name}")
            assert value == (None if isinstance(line[name], str) else line[name])
    ended = sent["base", 1]
    assert (ended.result or {})["test_top1"] == 50.0
    assert ended.seconds == 4.0


def test_an_experiment_is_known_again_wherever_it_lies_and_however_it_grows(
    run, tmp_path
):
    mark = mark_of(read_experiment(run, "run"))
    moved = shutil.copytree(run, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"seeds": 7}))
    assert mark_of(read_experiment(moved, "moved")) == mark
    another = named(run, "another", tmp_path)
    assert mark_of(read_experiment(another, "another")) != mark


def test_a_training_that_still_goes_on_has_no_result(going):
    found = trainings_of(read_experiment(going, "x"))
    unfinished = [name for name, each in found.items() if each.result is None]
    assert unfinished == ["pooled_learned-seed1"]
