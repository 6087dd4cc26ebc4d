from infaug.record.display import Display
from infaug.record.steps import Interval


def take_steps(display: Display, clock, steps: range, seconds: float) -> None:
    for step in steps:
        clock.seconds += seconds
        display.step(0, 0, "classify", steps, step + 1, {"loss": 1.0})


def test_a_log_has_a_status_line_a_minute(clock, capsys):
    display = Display(["base seed 0"], [{"classify": 60}], [1], shown=True, now=clock)
    take_steps(display, clock, range(60), seconds=7)
    said = capsys.readouterr().err.splitlines()
    steps = [int(line.split("classify ")[1].split("/")[0]) for line in said]
    assert steps == [1, 10, 19, 28, 37, 46, 55]  # 9 steps of 7 s: the first after 60


def test_a_status_line_says_where_the_run_is_and_what_it_waits_for(clock, capsys):
    names = ["base seed 0", "base seed 1"]
    display = Display(names, [{"classify": 60}] * 2, [3, 3], shown=True, now=clock)
    interval = Interval(
        steps=20, seconds=10.0, parts={"data": 1.0, "peers": 0.01},
        counts={"images": 640}, gpu_gib=3.21,
    )  # fmt: skip
    display.timing(interval)
    take_steps(display, clock, range(60), seconds=2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "base seed 0 [1/2]  round 1/3  classify 31/60  2.0 s/step" in last
    assert "64 images/s a worker  data 10 %  GPU 3.21 GiB" in last
    assert "peers" not in last, "less than a hundredth is not worth a word"
    assert last.endswith("ETA 2:58")


def test_steps_of_a_kind_not_seen_yet_make_the_time_left_a_bound(clock, capsys):
    display = Display(
        ["base seed 0"], [{"classify": 60, "estimate": 9}], [1], shown=True, now=clock
    )
    take_steps(display, clock, range(60), seconds=7)
    assert capsys.readouterr().err.splitlines()[-1].endswith("ETA at least 0:35")


def test_a_quiet_run_says_nothing(clock, capsys):
    display = Display(["base seed 0"], [{"classify": 60}], [1], shown=False, now=clock)
    take_steps(display, clock, range(60), seconds=7)
    assert capsys.readouterr().err == ""
