"""Jobs in processes of this machine, some at a time, one thread count for each.

The driver trains nothing and holds no tensors. A process that dies is started again and
its job goes on from what it kept; a driver that dies takes its processes with it, and
the same command goes on.
"""

import contextlib
import os
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

Job = TypeVar("Job")
Found = TypeVar("Found")
Ready = Callable[[Sequence[Job], Iterable[Job]], Sequence[Job]]
MAX_DEATHS = 3  # of processes at one job


Work = Callable[[Job, Any], Found]  # a job and where its progress is shown


def in_processes(
    work: Work[Job, Found],
    jobs: Sequence[Job],
    display: Any,
    *,
    at_a_time: int,
    threads: int,
    ready: Ready[Job],
) -> Iterator[tuple[Job, Found]]:
    """Do jobs in other processes, yielding each with what it found as it ends.

    Args:
        work: does one job; can be repeated; importable by name. Its second argument has
            the methods of `display` and forwards calls to it.
        jobs: what is to be done.
        display: of this process.
        at_a_time: how many processes there are.
        threads: of each.
        ready: of the jobs that wait, which may begin beside those that run.

    Raises:
        ValueError: the mistake that a job refused, or a job whose processes die.
        RuntimeError: another error inside a job, with its traceback.
    """
    waiting, running = list(jobs), dict[_Process, Job]()
    deaths = Counter[int]()  # by the job's place in `jobs`
    idle = [_Process(work, threads) for _ in range(min(at_a_time, len(jobs)))]
    everyone = {process.pipe: process for process in idle}
    try:
        while waiting or running:
            for job in list(ready(waiting, list(running.values())))[: len(idle)]:
                waiting.remove(job)
                process = idle.pop(0)
                running[process] = job
                process.send(job)
            assert running, "of the jobs that wait, one can always begin"
            for pipe in wait(list(everyone)):
                process = everyone[pipe]  # pyright: ignore[reportArgumentType]
                kind, found = process.receive()
                if kind == "report":
                    name, args = found
                    getattr(display, name)(*args)
                    continue
                job = running.pop(process)
                if kind == "found":
                    idle.append(process)
                    yield job, found
                elif kind == "mistake":
                    raise ValueError(found)
                elif kind == "error":
                    raise RuntimeError(found)
                else:
                    assert kind == "died", "there are no others"
                    number = jobs.index(job)
                    deaths[number] += 1
                    if deaths[number] == MAX_DEATHS:
                        raise ValueError(_death(found))
                    del everyone[process.pipe]
                    process.stop()
                    fresh = _Process(work, threads)
                    everyone[fresh.pipe] = fresh
                    idle.append(fresh)
                    waiting.insert(0, job)
    finally:
        for process in everyone.values():
            process.stop()


def _death(code: int) -> str:
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return (
        f"a training process died {MAX_DEATHS} times ({how}): if memory ran out, use "
        "--jobs 1; rerun the command to continue from the last checkpoint"
    )


class _Process:
    """A process that waits for jobs; it ends with the one that started it."""

    def __init__(self, work: Any, threads: int):
        self.pipe, theirs = Pipe()
        number = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infaug.experiment.processes", str(number)],
            pass_fds=[number],
            env={
                **os.environ,
                "OMP_NUM_THREADS": str(threads),
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            },
        )
        theirs.close()
        self.send((work, threads))

    def send(self, value: Any) -> None:
        """Hand on a job; `receive` says if nobody is there."""
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send(value)

    def receive(self) -> tuple[str, Any]:
        """What it says next: its last word is its exit code."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return "died", self._process.wait()

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self.pipe.close()


class _Forward:
    """Sends every call to the driver; raises, which ends the job, when it is gone."""

    def __init__(self, pipe: Connection):
        self._pipe = pipe

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self._pipe.send(("report", (name, args)))


def _serve(pipe: Connection) -> None:
    """Do jobs until the driver is gone."""
    try:
        work, threads = pipe.recv()
        torch.set_num_threads(threads)
        while True:
            job = pipe.recv()
            try:
                answer = ("found", work(job, _Forward(pipe)))
            except (BrokenPipeError, ConnectionResetError):
                return
            except ValueError as error:
                answer = ("mistake", str(error))
            except Exception:
                answer = ("error", traceback.format_exc())
            pipe.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The driver ends its processes.
    _serve(Connection(int(sys.argv[1])))
