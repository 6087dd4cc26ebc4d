"""The models of docs/api.md are fitted by the lines that stand there."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TINY = {
    "seeds": 1,
    "controls": "none",
    "data": {"labels": 40, "target": 40, "image_size": 32},
    "classifier": {"batch_size": 4, "batch_groups": 2, "precision": "float32"},
    "estimator.batch_size": 4,
    "transform.tau_size": 8,
    "rounds": {"rounds": 2, "classifier_steps": 2, "estimator_steps": 1},
    "methods": ("base_learned",),
    "shown": False,
}


def block(title):
    """The Python block below a heading."""
    text = (DOCS / "api.md").read_text().partition(f"## {title}\n")[2]
    found = re.search(r"```py\n(.*?)```", text, re.DOTALL)
    return found[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "package"),
    [("A model of torchvision", "torchvision"), ("A model of timm", "timm")],
)
def test_the_lines_of_the_docs_fit_a_model(title, package, tmp_path, capsys):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    lines = block(title)
    assert len(lines.splitlines()) < 15
    names = {"OUT": tmp_path / "run", "SETTINGS": TINY}
    exec(lines, names)
    assert "base_learned" in capsys.readouterr().out
    assert names["result"].augment is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet18.0", "mobilenetv3_small_050.0", "vit_tiny_patch16_224.224"]
)
def test_models_of_timm_are_taken_apart(name):
    timm = pytest.importorskip("timm")
    import torch

    from infaug.classify.given import Given, find_head, offered
    from infaug.classify.network import build_classifier

    kind, _, size = name.partition(".")
    model = timm.create_model(kind, num_classes=4)
    side = int(size) or 32
    x = torch.rand(2, 3, side, side)
    with offered(Given(model, find_head(model, x))):
        ours = build_classifier("given", 3, 4, 0).eval()
    ours.mean.zero_()
    ours.std.fill_(1)
    assert torch.allclose(ours(x), model.eval()(x), atol=1e-4)
