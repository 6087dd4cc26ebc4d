"""What tests of the command line ask for, and how they are refused."""

from pathlib import Path

from PIL import Image

from infaug.cli.main import main
from infaug.cli.terminal import BAD_INPUT

FAST = [
    *("--data", "digits"),
    *("--labels", "60", "--target", "60", "--rotate", "40", "--seeds", "1"),
    *("--classifier.batch-size", "8", "--classifier.batch-groups", "2"),
    *("--estimator.batch-size", "8", "--rounds.rounds", "2"),
    *("--rounds.classifier-steps", "3", "--rounds.estimator-steps", "2"),
    *("--jobs", "1"),  # in this process, which has imported everything
]


def image_folder(root: Path, classes=("cat", "dog"), count=12, mode="L") -> Path:
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for k in range(count):
            colour = 100 * label + k
            image = Image.new(mode, (16, 16), (colour,) * len(mode))
            image.save(root / name / f"{k}.png")
    return root


def refused(arguments: list[str], capsys) -> str:
    """The one line an impossible command is answered with."""
    assert main(arguments) == BAD_INPUT
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("infaug: ")
    assert "Traceback" not in captured.err
    assert "RESULT" not in captured.out
    return captured.err
