import subprocess
import sys
from pathlib import Path

import pytest

from infaug.cli.flags import look_for_data, look_for_images, look_for_run


def test_what_is_there_and_what_is_no_path_of_this_machine_passes(tmp_path):
    look_for_run(str(tmp_path), "s3://bucket/run")
    look_for_images([tmp_path])
    look_for_data("digits", None)
    look_for_data(str(tmp_path), "gs://bucket/set")


def test_the_first_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(ValueError, match=f"{missing} was not found: looked for"):
        look_for_run(str(tmp_path), str(missing))
    with pytest.raises(ValueError, match=f"{Path.cwd()}/missing; give a Parquet file"):
        look_for_data("digits", "missing")


WRONG = [
    "fit --data missing",
    "compare --data digits missing",
    "sweep --data missing",
    "predict missing a.png",
    "export missing --out out",
    "preview missing a.png",
    "report missing",
    "influence validate missing",
    "influence rank missing",
]


def test_a_path_that_leads_nowhere_is_told_before_torch_is_loaded(tmp_path):
    program = (
        "import sys\n"
        "from infaug.cli.main import main\n"
        "for line in sys.argv[1:]:\n"
        "    assert main(line.split()) == 2, line\n"
        "assert 'torch' not in sys.modules\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *WRONG],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stderr.splitlines()
    assert len(told) == len(WRONG)
    assert all("missing was not found: looked for" in line for line in told)
    assert not list(tmp_path.iterdir())
