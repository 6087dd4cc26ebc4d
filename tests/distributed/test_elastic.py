"""Workers come and go with the nodes of a cluster, and a run goes on with them."""

import pytest

from infaug.record.folder import RunFolder

from .elastic import PATIENCE_S, alone, await_workers, start, workers_of
from .heads import head, kill_node

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.chaos]


@pytest.mark.timeout(1200)
def test_a_run_goes_from_one_worker_to_three_and_back_and_learns_the_same(tmp_path):
    out, calm = tmp_path / "elastic", tmp_path / "calm"
    undisturbed = alone(calm)  # Most of what comes is waiting for Ray.
    with head(num_cpus=1) as cluster:
        running = start(cluster, out)
        await_workers(1, running, out)
        with cluster.node(2) as node:
            await_workers(3, running, out)
            kill_node(node)
            await_workers(1, running, out)
        assert running.wait(PATIENCE_S) == 0, out.with_suffix(".log").read_text()
    assert workers_of(out) == [1, 3, 1]

    assert undisturbed.wait(PATIENCE_S) == 0
    # The same groups, batches and rates, summed in another order; what differs in the
    # last bits grows with the steps.
    ours, its = (RunFolder(f).lines("metrics.jsonl") for f in (out, calm))
    for mine, theirs in zip(ours, its, strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            if isinstance(value, float):
                near = 1e-8 if theirs["round"] == 0 else 0.1
                assert mine[key] == pytest.approx(value, rel=near, abs=near), mine
            else:
                assert mine[key] == value
