"""Processes that share images on disk find what one finds alone."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from distributed.streamed import write_digits
from peers import together
from reading import count_decoded
from resolved import resolved
from tiny import CONFIG
from torch import Tensor
from torch.func import jvp

from infaug.config import DataConfig, RunConfig
from infaug.data.loader import load_in_threads
from infaug.data.problem import Splits, divide
from infaug.data.source import load
from infaug.record.folder import RunFolder
from infaug.state import State
from infaug.training.alternation import assess
from infaug.training.methods import METHODS
from infaug.training.review import _losses_after, review
from infaug.training.solve import solve_s_val
from infaug.training.state import Training
from infaug.training.train import _adapt
from infaug.world import World

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path, monkeypatch) -> DataConfig:
    """Digits on disk; nothing is kept of them yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in ("data.problem", "training.snapshot", "training.solve"):
        monkeypatch.setattr(f"infaug.{module}.CHUNK", 20)
    write_digits(tmp_path / "images", 500)
    return data_in(tmp_path)


def data_in(place: Path) -> DataConfig:
    return DataConfig(
        source=str(place / "images"), stream_above_gib=0, image_size=16, mode="L",
        target=150, test=90,
    )  # fmt: skip


def config_of(data: DataConfig, **changes) -> RunConfig:
    settings = replace(CONFIG.classifier, precision="float64", batch_groups=4)
    return resolved(replace(CONFIG, data=data, classifier=settings, **changes))


def begin(
    data: DataConfig, world: World, method: str, states: dict[str, State]
) -> tuple[Training, Splits]:
    """A training whose F is not the initial one, and the images as it holds them.

    Networks are drawn from a generator that threads share, so all take those that the
    first one, which is alone, has left in `states`.
    """
    splits = divide(load(data), data).held_by(world)
    training = Training(METHODS[method], 0, splits, config_of(data), world, CPU)
    if method in states:
        training.load(states[method])
        return training, splits
    drawn = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in training.classifier.parameters():
            parameter += 0.3 * torch.randn(
                parameter.shape, generator=drawn, dtype=parameter.dtype
            )
    states[method] = {name: t.clone() for name, t in training.tensors().items()}
    return training, splits


def judged(
    data: DataConfig, states: dict[str, State], world: World
) -> dict[str, Tensor]:
    """Everything that is computed from influence, selection and test images."""
    training, splits = begin(data, world, "base_learned", states)
    found = {}
    for name in ("selection", "test"):
        score = assess(training, getattr(splits, name))
        values = [score.loss, score.accuracy, score.top5, *score.by_class]
        found[name] = torch.tensor(values, dtype=torch.float64)
    training.classifier.eval()
    influence = replace(training.config.influence, hessian_samples=60, damping=0.1)
    solution = solve_s_val(
        training.classifier, training.train, splits.influence, training.seen,
        influence, 0, "test", world=world, start=torch.zeros_like(training.s_val),
    )  # fmt: skip
    found["s_val"] = solution.value
    found["losses"] = _losses_after(training, 0, splits.selection)
    _adapt(training, splits)
    found["adapted"] = torch.cat([b.flatten() for b in training.evaluated.buffers()])
    return found


def test_sums_of_shares_are_what_one_process_finds(data, monkeypatch):
    # These processes send no gradients: F stays as it is.
    monkeypatch.setattr("infaug.training.review.fit_classifier", lambda *_, **__: ())
    states: dict[str, State] = {}
    alone = judged(data, states, World())
    found = together(3, partial(judged, data, states))
    for of_rank in found:
        for name, expected in alone.items():
            assert of_rank[name].equal(found[0][name]), "all processes agree"
            torch.testing.assert_close(of_rank[name], expected, rtol=1e-6, atol=1e-9)
    again = together(3, partial(judged, data, states))
    for name, value in found[0].items():
        assert again[0][name].equal(value), "the same world gives the same bytes"


def looked_ahead(data: DataConfig, states: dict[str, State], world: World) -> Tensor:
    """Scores of all processes by a step of F ahead, step after step."""
    training, _ = begin(data, world, "bilevel_learned", states)
    training.classifier.eval()
    scores = training.scores_of_views()
    found = []
    for step in range(3):
        x, y, _ = training.views.estimator_batch_at(step)
        found.append(world.gather(scores(step, x, y)))
    return torch.cat(found)


def test_the_loss_a_step_ahead_is_that_of_all_shares(data, monkeypatch):
    lock = threading.Lock()

    def one_at_a_time(*given):
        with lock:  # PyTorch derives along a direction in one thread only.
            return jvp(*given)

    monkeypatch.setattr("infaug.estimate.lookahead.jvp", one_at_a_time)
    states: dict[str, State] = {}
    alone = looked_ahead(data, states, World())
    for found in together(2, partial(looked_ahead, data, states)):
        torch.testing.assert_close(found, alone, rtol=1e-6, atol=1e-9)


def test_a_refresh_decodes_its_sample_once_between_all(data, monkeypatch):
    decoded = count_decoded(monkeypatch)
    states: dict[str, State] = {}
    begin(data, World(), "base", states)

    def refresh(world: World) -> None:
        training, splits = begin(data, world, "base", states)
        training.classifier.eval()
        world.gather(torch.zeros(1))  # All have begun.
        if world.is_first:
            decoded.clear()
        world.gather(torch.zeros(1))
        config = replace(training.config.influence, hessian_samples=60)
        solve_s_val(
            training.classifier, training.train, splits.influence, training.seen,
            config, 0, "test", world=world, start=training.s_val,
        )  # fmt: skip

    together(3, refresh)
    assert sum(decoded) == 60


def test_a_review_decodes_at_most_twice_what_it_uses(data, monkeypatch):
    source = load(data, partial(load_in_threads, num=1))
    splits = divide(source, data).held_by(World())
    rounds = replace(CONFIG.rounds, classifier_steps=30, rounds=3)
    config = config_of(data, rounds=rounds)
    training = Training(METHODS["base_learned"], 0, splits, config, World(), CPU)
    training.s_val = torch.ones_like(training.s_val)
    decoded = count_decoded(monkeypatch)
    monkeypatch.setattr("infaug.training.review.suspicion", lambda *_: "suspected")
    (found,) = review(training, 0, range(1), splits.selection)
    assert "harm" in found, "F went through a round twice"
    used = config.estimator.batch_size + 2 * 30 * config.classifier.batch_size
    assert used <= sum(decoded) <= 2 * used
    decoded.clear()
    training.cleared_until = 9
    (found,) = review(training, 7, range(1), splits.selection)
    assert "harm" not in found
    assert sum(decoded) == config.estimator.batch_size


PROGRAM = """
import sys
from pathlib import Path
import torch.distributed as dist
import test_shared as test
from infaug.experiment.run import run
place, out, rank, size = sys.argv[1:]
if int(size) > 1:
    dist.init_process_group(
        "gloo", f"file://{place}/meet", rank=int(rank), world_size=int(size)
    )
run(test.experiment(Path(place)), out, shown=False)
"""


def experiment(place: Path) -> RunConfig:
    """Methods that look at influence, selection and test images in every way."""
    settings = replace(CONFIG.classifier, precision="float64")
    methods = ("adapted", "base_learned", "bilevel_learned")
    return replace(CONFIG, data=data_in(place), classifier=settings, methods=methods)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_experiment_of_two_processes_finds_what_one_finds(data, tmp_path):
    here = Path(__file__).parent
    places = map(str, (here, here.parent, here.parents[1]))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, tmp_path, tmp_path / name, *map(str, part)],
            env=env | {"XDG_CACHE_HOME": str(tmp_path / f"cache-{name}-{part[0]}")},
        )
        for name, part in (("two", (0, 2)), ("two", (1, 2)), ("one", (0, 1)))
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    for method in experiment(tmp_path).methods:
        two, one = (
            numbers(RunFolder(tmp_path / name), method) for name in ("two", "one")
        )
        assert two == pytest.approx(one, rel=1e-6)


def numbers(folder: RunFolder, method: str) -> dict[str, float]:
    found = folder.training_result(method, 0)
    return {name: value for name, value in found.items() if isinstance(value, float)}
