"""Cells of tables on Ray find what they find in one process."""

from dataclasses import replace

import pytest
from tiny import CONFIG

from infaug.experiment.grid import Column, Table, work_of
from infaug.experiment.grid_run import Site, run_grid_training

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

TABLE = Table(
    name="digits",
    title="Digits",
    columns=(Column(title="N = 60", config=CONFIG),),
    methods=("base", "base_learned", "base_random_final"),
)


@pytest.fixture(scope="module")
def cluster():
    from infaug.distributed.local import start_here

    start_here(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def found(records) -> dict[str, dict]:
    timeless = [
        {k: v for k, v in record.items() if "seconds" not in k} for record in records
    ]
    return {record["row"]: record for record in timeless}


def test_cells_on_two_workers_equal_those_of_one_process_in_order_of_need(
    cluster, tmp_path
):
    from infaug.distributed.tasks import run_on_ray

    works = work_of([TABLE], None, 1)
    site = Site(work=tmp_path / "one")
    here = [run_grid_training(work, site, shown=False) for work in works]
    two = Site(work=tmp_path / "two")
    on_ray = found(run_on_ray(works, two, at_a_time=2))
    assert on_ray == found(here)
    assert list(on_ray).index("base_learned") < list(on_ray).index("base_random_final")


def test_what_a_cell_refuses_is_a_value_error_here(cluster, tmp_path):
    from infaug.distributed.tasks import run_on_ray

    config = replace(CONFIG, data=replace(CONFIG.data, target=5))
    table = replace(TABLE, columns=(Column(title="N = 5", config=config),))
    site = Site(work=tmp_path)
    with pytest.raises(ValueError, match="`target` is too small"):
        list(run_on_ray(work_of([table], ["base_learned"], 1), site, at_a_time=1))
