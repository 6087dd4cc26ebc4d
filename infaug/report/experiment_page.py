"""RUN/report.html: one experiment on one page, the answer first."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infaug.estimate.learned_transform import LearnedTransform
from infaug.experiment.finished import finished_training
from infaug.experiment.verdict import headline_method
from infaug.record.folder import RunFolder
from infaug.report.experiment_data import (
    ExperimentData,
    command,
    read_experiment,
    settings_of,
)
from infaug.report.figures import draw_agreement, draw_curves, draw_spread
from infaug.report.gallery import MAX_PX, before_and_after, examples, rank_views
from infaug.report.image_statistics import (
    STATISTICS,
    TowardTarget,
    toward_target,
    write_statistics,
)
from infaug.report.learned import (
    MAX_CLASSES,
    QUANTITIES,
    groups_of,
    known_shift,
    measure,
    sample_of_classes,
)
from infaug.report.logs import METRICS, curves, refreshes, reviews, spent
from infaug.report.out_of_fold import judged_section
from infaug.report.page import Context, page, section, write_page
from infaug.report.policy import learned_policy
from infaug.report.results import left_out, results_section
from infaug.report.verdict import conclude
from infaug.report.words import number
from infaug.training.methods import METHODS, POLICY_FROM
from infaug.trust.reload import Finished, reload

REPORT = "report.html"
NUM_AIMS = 10
NUM_IMAGES, FEW_IMAGES = 8, 4  # few of methods that the verdict is not about
PANELS = {
    "refitted": "at the refitted head, where the theory holds",
    "live": "as training predicts, with F's own head",
}


def write_report(run: Path, name: str | None = None, out: Path | None = None) -> Path:
    """Draw the report of an experiment, finished or still going.

    Args:
        run: its folder.
        name: what the user calls it; none: the folder.
        out: the file; none: report.html in the folder.

    Raises:
        ValueError: if the folder is no experiment, or the file cannot be written.
    """
    drawing = Drawing(read_experiment(run, name or str(run)))
    return write_page(drawing.page(), out or run / REPORT)


def report_at_end(run: Path, name: str, *, is_new: bool) -> list[str]:
    """What `infaug fit` prints at its end: warnings about views, where the report is.

    The report of an experiment that was finished before is drawn again only if it is
    gone.
    """
    line = f"report: {name}/{REPORT}"
    if not is_new and (run / REPORT).exists():
        return [line]
    try:
        drawing = Drawing(read_experiment(run, name))
        write_page(drawing.page(), run / REPORT)
        if drawing.known_toward_target:
            write_statistics(run, drawing.toward_target)
    except Exception as error:  # `infaug report` shows all of it
        return [f"report: not drawn ({error}); infaug report {name} draws it"]
    return [*(f"warning: {text}" for text in drawing.warnings), line]


@dataclass(frozen=True)
class Drawing:
    """The page of an experiment; its images are loaded once."""

    experiment: ExperimentData

    @cached_property
    def finished(self) -> Finished:
        """The first finished seed of the headline method: pictures are of it.

        A method with E and G comes before one with a policy, which has no views to
        measure.

        Raises:
            ValueError: the reason why there is none.
        """
        experiment = self.experiment
        found = [method for method, records in experiment.found.items() if records]
        with_views = [method for method in found if METHODS[method].is_learned]
        method = headline_method(with_views) or headline_method(found)
        if method is None:
            raise ValueError("no training of a learned augmentation is finished")
        return reload(experiment.path, method, min(experiment.found[method]))

    @cached_property
    def transforms(self) -> dict[str, LearnedTransform]:
        """E and G of every learned method that finished this seed, headline first."""
        experiment, seed = self.experiment, self.finished.training.seed
        headline = self.finished.training.method.name
        methods = [
            method
            for method, found in experiment.found.items()
            if METHODS[method].is_learned and seed in found
        ]
        if not methods:
            raise ValueError("no training of E and G is finished")
        methods.sort(key=lambda method: method != headline)
        folder = RunFolder(experiment.path)
        return {m: finished_training(folder, m, seed).transform() for m in methods}

    @cached_property
    def toward_target(self) -> TowardTarget:
        """How views moved toward target images."""
        finished = self.finished
        seed, splits = finished.training.seed, finished.splits
        return toward_target(self.experiment, seed, splits, self.transforms)

    @cached_property
    def known_toward_target(self) -> TowardTarget | None:
        """The same; None where it cannot be known: the section says why."""
        try:
            return self.toward_target
        except Exception:
            return None

    @property
    def warnings(self) -> list[str]:
        """About views that leave the target images."""
        found = self.known_toward_target
        texts = found.warnings.values() if found else ()
        return [f"{text} Look at the pictures before trusting them." for text in texts]

    def page(self) -> str:
        """The whole page."""
        experiment, conclusion = self.experiment, conclude(self.experiment)
        parts: list[tuple[Any, ...]] = [
            ("results", "Results", results_section, experiment),
            ("curves", "Training", self.curves),
        ]
        if experiment.is_folded:
            parts.append(("judged", "Right and wrong", judged_section, experiment))
        if POLICY_FROM in experiment.found:
            title = "What the policy draws"
            parts.append(("policy", title, learned_policy, experiment))
        methods = experiment.methods
        if any(METHODS[m].is_learned for m in methods) or not methods:
            parts += [
                ("pictures", "Images before and after", self.pictures),
                ("toward_target", "Nearer to the target or further", self.toward),
                ("learned", "What E learned, class by class", self.learned),
            ]
        found = [METHODS[m] for m in methods]
        if not found or any(m.has_learned_view or m.solves_s_val for m in found):
            parts += [
                ("extremes", "Views that help and views that harm", self.extremes),
                ("predictions", "Predicted and refitted", self.predictions),
                ("refreshes", "Keeping s_val fresh", self.refreshes),
            ]
        parts += [
            ("compute", "Time spent", spent, experiment),
            ("settings", "Images, settings, command", self.settings),
        ]
        return page(
            "report.html",
            [section(*part) for part in parts],
            title=f"{experiment.name}: {conclusion.headline}",
            experiment=experiment,
            conclusion=conclusion,
            warnings=self.warnings,
        )

    def curves(self) -> Context:
        """Accuracy and losses over rounds."""
        found = [(metric, curves(self.experiment, metric.key)) for metric in METRICS]
        drawn = [(metric, lines) for metric, lines in found if lines]
        if not drawn:
            raise ValueError("no step of F has been reported yet")
        methods = self.experiment.methods
        return {
            "methods": [m for m in methods if any(m in lines for _, lines in drawn)],
            "charts": [(m.title, draw_curves(lines, m)) for m, lines in drawn],
        }

    def _shared(self) -> dict[str, Any]:
        training, train = self.finished.training, self.finished.splits.train
        return {
            "method": training.method.name,
            "seed": training.seed,
            # Shown smaller than they are: without sharp pixels.
            "is_large": max(train.image_shape[1:]) > MAX_PX / 2,
        }

    def pictures(self) -> Context:
        """Images before and after, for every learned method."""
        shared, splits = self._shared(), self.finished.splits
        config, galleries = self.experiment.config.estimator, []
        for method, transform in self.transforms.items():
            num = NUM_IMAGES if method == shared["method"] else FEW_IMAGES
            shown = before_and_after(transform, splits.train, config, num)
            galleries.append((method, shown))
        aims = examples(splits.influence, NUM_AIMS, "influence image")
        on_base = self.finished.training.method.learns_on_base
        return {**shared, "galleries": galleries, "on_base": on_base, "aims": aims}

    def toward(self) -> Context:
        """Learned views between training images and target images."""
        return {"found": self.toward_target, "statistics": STATISTICS}

    def learned(self) -> Context:
        """What E learned, for each class."""
        config, splits = self.experiment.config, self.finished.splits
        images, shared = sample_of_classes(splits.train), self._shared()
        _, height, width = images.image_shape
        known = known_shift(config.data.shift, width, height)
        found = measure(self.transforms[shared["method"]], images, config.estimator)
        groups = groups_of(found)
        return {
            **shared,
            "num": len(images),
            "max_classes": MAX_CLASSES,
            "num_classes": splits.num_classes,
            "charts": [draw_spread(groups, q, known.get(q.key)) for q in QUANTITIES],
            "known": known,
            "leftover": number(float(found.leftover.median())),
        }

    def extremes(self) -> Context:
        """The most helpful and the most harmful views."""
        return {**self._shared(), **rank_views(self.finished, self.experiment.path)}

    def predictions(self) -> Context:
        """Every check of predicted against refitted in the folder."""
        run = self.experiment.path
        files = sorted(run.glob("influence-*.json"))
        if not files:
            raise ValueError(
                f"no check was made yet: infaug influence validate {run} makes one"
            )
        checks = [json.loads(file.read_text()) for file in files]
        for check in checks:
            check["panels"] = [
                (title, check[name],
                 draw_agreement(check[name]["predicted"], check["actual"], title))
                for name, title in PANELS.items()
            ]  # fmt: skip
        return {"checks": checks}

    def refreshes(self) -> Context:
        """How s_val was solved for, and the reviews."""
        return {
            "refreshes": refreshes(self.experiment),
            "reviews": reviews(self.experiment),
            "solver": self.experiment.config.influence.solver,
        }

    def settings(self) -> Context:
        """The images, the settings, and how to do it again."""
        experiment, data = self.experiment, self.experiment.config.data
        images = {"source": data.source, "target": data.target_source or ""}
        for name, value in experiment.images.items():
            if isinstance(value, list):
                some = ", ".join(map(str, value[:30]))
                value = some if len(value) <= 30 else f"{len(value)}: {some}, ..."
            images[name] = str(value)
        every = settings_of(experiment.requested, experiment.config)
        return {
            "images": [(name, text) for name, text in images.items() if text],
            "left_out": left_out(experiment),
            "command": command(experiment.requested, "NEW"),
            "config_path": f"{experiment.name}/config.json",
            "everything": every,
            "different": [each for each in every if each.differs],
        }
