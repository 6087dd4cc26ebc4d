"""The picture of the house: who may import whom."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from finished import finished_run

PACKAGE = Path(__file__).parent.parent / "infaug"

# Left to right; a room may import only from layers before its own.
LAYERS: list[set[str]] = [
    {
        "__init__",
        "cache",
        "config",
        "cores",
        "lock",
        "randomness",
        "count_range",
        "storage",
        "timer",
        "words",
    },
    {"doctor", "transfer", "world"},
    {"types", "precision", "gradients", "state"},
    {"descent"},
    {"data", "classify", "influence", "transform"},
    {"estimate"},
    {"augment"},
    {"record"},
    {"training"},
    {"experiment"},
    {"trust", "cluster", "export"},
    {"distributed", "predict", "report"},
    {"api"},
    {"cli"},
    {"__main__"},
]
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


def imports() -> list[tuple[Path, str, str]]:
    """(file, its room, imported room) for every import inside the package."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: imports are absolute"
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.startswith("infaug."):
                    found.append((file, room, name.split(".")[1]))
    return found


def test_imports_run_one_way():
    wrong = [
        f"{file}: {room} imports {imported}"
        for file, room, imported in imports()
        if room != imported and LAYER[imported] >= LAYER[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_all_but_distributed_and_cli_imports_and_trains_without_ray_and_tyro(tmp_path):
    modules = [
        ".".join(("infaug", *file.relative_to(PACKAGE).with_suffix("").parts))
        for file in PACKAGE.rglob("*.py")
    ]
    kept = [
        m for m in modules if m.split(".")[1] not in ("distributed", "cli", "__main__")
    ]
    program = (
        "import sys, importlib\n"
        "sys.modules.update(ray=None, tyro=None)\n"
        "sys.path.insert(0, sys.argv[1])\n"
        f"for name in {sorted(kept)!r}: importlib.import_module(name)\n"
        "from pathlib import Path; from tiny import tiny\n"
        "from infaug.experiment.run import run\n"
        "run(tiny(controls='none'), Path(sys.argv[2]), shown=False)"
    )
    tests = str(Path(__file__).parent)
    command = [sys.executable, "-c", program, tests, str(tmp_path / "run")]
    subprocess.run(command, check=True)


def test_an_export_is_loaded_with_little_more_than_torch(tmp_path):
    """Of what infaug depends on: torch, torchvision, safetensors, jaxtyping."""
    from infaug.config import ExportConfig
    from infaug.export.write import export_run

    run, out = finished_run(tmp_path / "run"), tmp_path / "out"
    export_run(run, out, ExportConfig(formats=()))
    program = (
        "import sys\n"
        "for name in 'ray tyro pyarrow rich scipy sklearn matplotlib yaml'.split():\n"
        "    sys.modules[name] = None\n"
        "import torch\n"
        "from infaug.export import LearnedAugment, load_classifier\n"
        "augment = LearnedAugment.load(sys.argv[1])\n"
        "x = augment(torch.zeros(2, 1, 16, 16, dtype=torch.uint8))\n"
        "assert load_classifier(sys.argv[1])(x / 255).shape == (2, 3)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(out)], check=True)


def test_the_guides_name_files_that_exist_and_a_walk_at_most_six():
    root = Path(__file__).parents[1]
    for guide in (root / "CONTRIBUTING.md", *root.glob("docs/*.md")):
        for name in re.findall(r"`((?:\w+/)+\w+\.py)`", guide.read_text()):
            assert (root / name).exists() or (root / "infaug" / name).exists(), name
    guide = (root / "CONTRIBUTING.md").read_text()
    six = guide.partition("## Six walks")[2].partition("## Tests")[0]
    walks = re.split(r"^\*\*", six, flags=re.M)[1:]
    assert len(walks) == 6
    assert all(1 < len(re.findall(r"^\d\. ", walk, re.M)) <= 6 for walk in walks)
