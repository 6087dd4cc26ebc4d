"""The picture of predicted against refitted changes of the validation loss."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infaug.influence.validate import Validation
from infaug.trust.predictions import Trust


def draw_scatter(trust: Trust, title: str, path: Path) -> None:
    """Two panels: predicted at the refitted head, and as the run predicts."""
    figure = Figure(figsize=(9, 4.2), layout="compressed")
    FigureCanvasAgg(figure)
    panels = (("at the refitted head", trust.refitted), ("as the run does", trust.live))
    for axis, (name, found) in zip(figure.subplots(1, 2), panels, strict=True):
        x, y = found.predicted.numpy(force=True), found.actual.numpy(force=True)
        axis.axline((0, 0), slope=1, color="0.7", linewidth=1)
        axis.scatter(x, y, s=12)
        axis.set_xlabel(f"predicted {name}: I_aug / N, nats")
        axis.set_title(measures(found), fontsize=9)
    figure.axes[0].set_ylabel("head refitted: change of validation loss, nats")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def measures(found: Validation) -> str:
    """The four measures of agreement in words."""
    return (
        f"Pearson {found.pearson:.4f}, Spearman {found.spearman:.4f}, "
        f"slope {found.slope:.3f}, signs {100 * found.sign_agreement:.0f} %"
    )
