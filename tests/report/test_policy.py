import re
import warnings

import torch
from finished import POLICIES, finished_run

from infaug.report.experiment_data import read_experiment
from infaug.report.experiment_page import write_report
from infaug.report.policy import draw_policy, learned_policy


def test_the_page_shows_which_operations_a_policy_draws(tmp_path):
    run = finished_run(tmp_path / "run", methods={"base": (0.5, 0.5)} | POLICIES)
    drawn = learned_policy(read_experiment(run, "run"))
    named = re.search(r"is drawn: (.*?)\.", drawn["chart"])
    assert named
    shares = [float(each) for each in re.findall(r"(\d+)%", named[1])]
    assert len(shares) == 13
    assert shares == sorted(shares, reverse=True)
    assert (drawn["seeds"], drawn["uniform"]) == ("2 seeds", "7.7%")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Other sections lack what trainings write.
        page = write_report(run).read_text()
    assert "What the policy draws" in page
    for anchor in ("pictures", "toward_target", "learned"):  # of E and G alone
        assert f'<section id="{anchor}"' not in page


def test_the_darkest_field_is_the_likeliest_strength():
    shares = torch.tensor([[0.1, 0.6, 0.1], [0.1, 0.05, 0.05]])
    chart = draw_policy(["rotate", "invert"], shares)
    alphas = [float(each) for each in re.findall(r"(?:fill-)?opacity: ([\d.]+)", chart)]
    assert max(alphas, default=1.0) <= 1
    assert min(alphas) < 0.2
    assert "rotate 80%, invert 20%" in chart
