"""`infaug doctor` finds what is wrong, says what to do, and never hangs."""

import json
import shutil
import time
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest

from infaug.cli.main import main
from infaug.doctor import examine as examination
from infaug.doctor import machine, torch_check
from infaug.doctor.examine import Probe, judge_cluster
from infaug.doctor.torch_check import judge_torch

SOUND = {
    "torch": "2.11.0", "built_for_cuda": "12.8",
    "devices": ["H100"], "device_errors": [], "torchvision": "0.26.0",
    "vision_error": "", "warnings": [],
}  # fmt: skip


class Answering:
    """A probe that needs no process."""

    def __init__(self, answer):
        self.given = answer

    def answer(self, wait_s):
        del wait_s
        return self.given


@pytest.fixture
def quick(monkeypatch):
    """Probes answer at once, and as they are told to."""

    def answer(torch=SOUND, cluster=None):
        given = {
            "infaug.doctor.torch_check": torch,
            "infaug.distributed.local": cluster,
        }
        start = staticmethod(lambda module: Answering(given[module]))
        monkeypatch.setattr(examination.Probe, "start", start)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)

    return answer


def by_name(capsys) -> dict[str, dict]:
    report = json.loads(capsys.readouterr().out)
    return {each["name"]: each for each in report["findings"]}


def test_a_machine_that_is_fit_is_told_so(quick, capsys):
    quick()
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "nothing needs to be fixed" in said
    assert all(n in said for n in ("python", "torch", "H100", "ray", "memory", "disk"))


def test_a_fault_gives_exit_code_two_and_a_remedy(quick, capsys):
    quick(torch={**SOUND, "vision_error": "operator torchvision::nms does not exist"})
    assert main(["doctor", "--json"]) == 2
    found = by_name(capsys)["torchvision"]
    assert found["status"] == "fix"
    assert "built for torch 2.11.0: pip install" in found["remedy"]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"built_for_cuda": None}, "install the CUDA build"),
        ({"warnings": ["CUDA initialization: driver too old"]}, "update the NVIDIA"),
        ({"device_errors": ["no kernel image"]}, "CUDA_VISIBLE_DEVICES="),
    ],
)
def test_each_way_a_gpu_can_fail_has_its_remedy(monkeypatch, changes, remedy):
    monkeypatch.setattr(torch_check, "has_driver", lambda: True)
    unseen = {**SOUND, "devices": [], **changes}
    gpu = next(f for f in judge_torch(unseen) if f.name == "gpu")
    assert gpu.status == "fix"
    assert remedy in gpu.remedy


def test_a_machine_without_a_gpu_is_no_fault(monkeypatch):
    monkeypatch.setattr(torch_check, "has_driver", lambda: False)
    unseen = {**SOUND, "devices": []}
    assert all(each.status == "ok" for each in judge_torch(unseen))


def test_a_torch_that_cannot_be_imported_is_the_only_word_on_it():
    (found,) = judge_torch({"error": "ImportError: libcudart.so"})
    assert "libcudart" in found.found
    assert "pip install" in found.remedy


def test_a_torch_that_is_late_is_not_to_be_installed_again():
    (found,) = judge_torch({"error": "no answer within 12 s", "is_late": True})
    assert "--wait-s 60" in found.remedy
    assert "pip" not in found.remedy
    assert found.status == "note", "a busy machine is no fault of its software"


def test_a_cluster_is_asked_for_only_where_one_is_named(quick, capsys, monkeypatch):
    quick(cluster={"nodes": 2, "CPU": 8.0, "GPU": 0})
    assert main(["doctor", "--json"]) == 0
    assert "cluster" not in by_name(capsys)
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert main(["doctor", "--json"]) == 0
    assert by_name(capsys)["cluster"]["found"] == (
        "ray://head:10001: 2 nodes, 8 CPU, 0 GPU"
    )


def test_a_cluster_that_does_not_answer_is_a_fault():
    found = judge_cluster("auto", {"error": "no answer within 12 s"})
    assert found.status == "fix"
    assert "unset RAY_ADDRESS" in found.remedy


def test_the_extras_that_are_looked_for_are_those_that_can_be_installed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    offered = project["project"]["optional-dependencies"]
    assert set(examination.EXTRAS) == set(offered) - {"dev", "storage", "bench"}


def test_what_is_scarce_is_a_fault_with_a_place(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")(2**30, 2**30, 2**20)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage)
    found = machine.check_disk("tmp", tmp_path / "not" / "yet", "set TMPDIR")
    assert found.status == "fix"
    assert "set TMPDIR" in found.remedy
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 1024 kB\n")
    monkeypatch.setattr(machine, "MEMORY_INFO", tmp_path / "meminfo")
    assert machine.check_memory().status == "fix"


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(f"{3 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2 * 2**30}\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    if shutil.os.path.exists("/proc/meminfo"):
        assert machine.free_memory() <= 2**30


def test_a_probe_that_hangs_or_crashes_is_an_answer_too(monkeypatch):
    monkeypatch.setattr(
        examination.subprocess, "Popen",
        lambda command, _real=examination.subprocess.Popen, **how: _real(
            ["sleep", "60"] if "hang" in command else ["false"], **how
        ),
    )  # fmt: skip
    began = time.monotonic()
    assert Probe.start("hang").answer(0.2)["error"] == "no answer within 0.2 s"
    assert Probe.start("crash").answer(5) == {"error": "exit code 1"}
    assert time.monotonic() - began < 5
