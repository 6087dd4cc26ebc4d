"""RUN/report.html: one experiment on one page, the answer first."""

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from infaug.estimate.learned_transform import LearnedTransform
from infaug.experiment.verdict import headline_method
from infaug.report import out_of_fold
from infaug.report.experiment_data import ExperimentData, read_experiment
from infaug.report.figures import (
    draw_agreement,
    draw_calibration,
    draw_curves,
    draw_differences,
    draw_spread,
)
from infaug.report.gallery import MAX_PX, before_and_after, examples, rank_views
from infaug.report.image_statistics import (
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
from infaug.report.page import Context, page, reason_of, section, write_page
from infaug.report.policy import learned_policy
from infaug.report.results import (
    by_class,
    differences,
    gaps,
    headline_of,
    left_out,
    method_results,
)
from infaug.report.settings import command, settings_of
from infaug.report.verdict import conclude
from infaug.report.views import load_transform
from infaug.report.words import number
from infaug.training.methods import METHODS, POLICY_FROM
from infaug.trust.reload import Finished, reload

REPORT = "report.html"
NUM_AIMS = 10
FEW_IMAGES = 4  # of methods that the verdict is not about
PANELS = (
    ("refitted", "at the refitted head, where the theory holds"),
    ("live", "as training predicts, with F's own head"),
)


def write_report(run: Path, name: str | None = None, out: Path | None = None) -> Path:
    """Draw the report of an experiment, finished or still going.

    Args:
        run: its folder.
        name: what the user calls it; none: the folder.
        out: the file; none: report.html in the folder.
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
        if isinstance(drawing.toward_target, TowardTarget):
            write_statistics(run, drawing.toward_target)
    except Exception as error:  # `infaug report` shows all of it
        return [f"report: not drawn ({error}); infaug report {name} draws it"]
    return [*(f"warning: {text}" for text in drawing.warnings), line]


@dataclass(frozen=True)
class Drawing:
    """The page of an experiment; its images are loaded once."""

    experiment: ExperimentData

    @cached_property
    def _loaded(self) -> Finished | ValueError:
        """The first finished seed of the headline method, or why there is none.

        A method with E and G comes before one with a policy, which has no views to
        measure.
        """
        experiment = self.experiment
        found = [method for method, records in experiment.found.items() if records]
        with_views = [method for method in found if METHODS[method].is_learned]
        method = headline_method(with_views) or headline_method(found)
        if method is None:
            return ValueError("no training of a learned augmentation is finished")
        try:
            return reload(experiment.path, method, min(experiment.found[method]))
        except Exception as error:  # its images may have gone
            return ValueError(reason_of(error))

    @property
    def finished(self) -> Finished:
        """The training that pictures are made of."""
        if isinstance(self._loaded, ValueError):
            raise self._loaded
        return self._loaded

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
        folder = experiment.path / "trainings"
        return {
            method: load_transform(
                load_file(folder / f"{method}-seed{seed}" / "transform.safetensors"),
                self.finished.splits,
                experiment.config,
            )
            for method in methods
        }

    @cached_property
    def toward_target(self) -> TowardTarget | ValueError:
        """How views moved toward target images, or why that is unknown."""
        try:
            finished = self.finished
            seed, splits = finished.training.seed, finished.splits
            return toward_target(self.experiment, seed, splits, self.transforms)
        except Exception as error:  # the page shows the rest
            return ValueError(reason_of(error))

    @property
    def warnings(self) -> list[str]:
        """About views that leave the target images."""
        if isinstance(self.toward_target, ValueError):
            return []
        remedy = "Look at the pictures before trusting them."
        return [f"{text} {remedy}" for text in self.toward_target.warnings.values()]

    def page(self) -> str:
        """The whole page."""
        experiment, conclusion = self.experiment, conclude(self.experiment)
        sections = [
            section("results", "Results", self._results),
            section("curves", "Training", self._curves),
        ]
        if experiment.is_folded:
            sections.append(section("judged", "Right and wrong", self._judged))
        if POLICY_FROM in experiment.found:
            policy = partial(learned_policy, experiment)
            sections.append(section("policy", "What the policy draws", policy))
        methods = experiment.methods
        if any(METHODS[m].is_learned for m in methods) or not methods:
            sections += [
                section("pictures", "Images before and after", self._pictures),
                section(
                    "toward_target", "Nearer to the target or further", self._toward
                ),
                section("learned", "What E learned, class by class", self._learned),
            ]
        sections += [
            section("extremes", "Views that help and views that harm", self._extremes),
            section("predictions", "Predicted and refitted", self._predictions),
            section("refreshes", "Keeping s_val fresh", self._refreshes),
            section("compute", "Time spent", self._compute),
            section("settings", "Images, settings, command", self._settings),
        ]
        return page(
            "report.html",
            sections,
            title=f"{experiment.name}: {conclusion.headline}",
            experiment=experiment,
            conclusion=conclusion,
            warnings=self.warnings,
        )

    def _results(self) -> Context:
        """The table, accuracy by class, and the paired differences."""
        experiment, made = self.experiment, differences(self.experiment)
        lines = method_results(experiment)
        if not lines:
            raise ValueError("which methods are run is not resolved yet")
        tuned = experiment.found.get("base_tuned", {}).items()
        chosen = [f"{r['base']} (seed {seed})" for seed, r in tuned if "base" in r]
        answer = (experiment.result or {}).get("answer") or {}
        return {
            "experiment": experiment,
            "answer": answer.get("method"),
            "lines": lines,
            "seeds": range(experiment.config.seeds),
            "gaps": gaps(experiment),
            "has_random": any(line.is_part for line in lines),
            "chosen": ", ".join(chosen),
            "by_class": by_class(experiment),
            "differences": made,
            "forest": draw_differences(made) if made else "",
            "headline": headline_of(experiment),
        }

    def _curves(self) -> Context:
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

    def _judged(self) -> Context:
        """Confusion, calibration and mistakes of the answer's method, out of fold."""
        judged = out_of_fold.judgements(self.experiment)
        calibration = out_of_fold.calibration(judged)
        try:
            mistakes: Any = out_of_fold.mistakes(self.experiment, judged)
        except (ValueError, OSError) as error:
            mistakes = str(error)
        counts = out_of_fold.confusion(judged)
        return {
            "judged": judged,
            "counts": counts.tolist(),
            "is_matrix": len(judged.classes) <= out_of_fold.MAX_CONFUSED,
            "pairs": out_of_fold.confused_pairs(judged),
            "num": len(judged.labels),
            "calibration": calibration,
            "chart": draw_calibration(calibration.bins),
            "mistakes": mistakes,
        }

    @property
    def is_large(self) -> bool:
        """Whether images are shown smaller than they are: without sharp pixels."""
        return max(self.finished.splits.train.image_shape[1:]) > MAX_PX / 2

    def _shared(self) -> dict[str, Any]:
        training = self.finished.training
        return {
            "method": training.method.name,
            "seed": training.seed,
            "is_large": self.is_large,
        }

    def _pictures(self) -> Context:
        """Images before and after, for every learned method."""
        shared, splits = self._shared(), self.finished.splits
        config, galleries = self.experiment.config.estimator, []
        for method, transform in self.transforms.items():
            num = 8 if method == shared["method"] else FEW_IMAGES
            shown = before_and_after(transform, splits.train, config, num)
            galleries.append((method, shown))
        aims = examples(splits.influence, NUM_AIMS, "influence image")
        on_base = self.finished.training.method.learns_on_base
        return {**shared, "galleries": galleries, "on_base": on_base, "aims": aims}

    def _toward(self) -> Context:
        """Learned views between training images and target images."""
        found = self.toward_target
        if isinstance(found, ValueError):
            raise found
        name = "target images" if found.has_target else "influence images"
        first = next(iter(found.methods.values()))
        return {"found": found, "moved": first, "target_name": name}

    def _learned(self) -> Context:
        """What E learned, for each class."""
        config, splits = self.experiment.config, self.finished.splits
        images, shared = sample_of_classes(splits.train), self._shared()
        _, height, width = images.image_shape
        known = known_shift(config.data.shift, width, height)
        found = measure(self.transforms[shared["method"]], images, config.estimator)
        groups, num = groups_of(found), splits.num_classes
        return {
            **shared,
            "num": len(images),
            "max_classes": MAX_CLASSES,
            "num_classes": num,
            "charts": [draw_spread(groups, q, known.get(q.key)) for q in QUANTITIES],
            "known": known,
            "leftover": number(float(found.leftover.median())),
        }

    def _extremes(self) -> Context:
        """The most helpful and the most harmful views."""
        found = rank_views(self.finished, self.experiment.path)
        return {**self._shared(), "found": found}

    def _predictions(self) -> Context:
        """Every check of predicted against refitted in the folder."""
        run = self.experiment.path
        checks = [
            json.loads(p.read_text()) for p in sorted(run.glob("influence-*.json"))
        ]
        if not checks:
            raise ValueError(
                f"no check was made yet: infaug influence validate {run} makes one"
            )
        for check in checks:
            check["panels"] = [
                (title, check[name],
                 draw_agreement(check[name]["predicted"], check["actual"], title))
                for name, title in PANELS
            ]  # fmt: skip
        return {"checks": checks}

    def _refreshes(self) -> Context:
        """How s_val was solved for, and the reviews."""
        try:
            reviewed: Any = reviews(self.experiment)
        except ValueError as error:
            reviewed = str(error)
        solver = self.experiment.config.influence.solver
        found = refreshes(self.experiment)
        return {"refreshes": found, "reviews": reviewed, "solver": solver}

    def _compute(self) -> Context:
        """Where the time went, and how often trainings began."""
        starts = self.experiment.starts
        num_again = len(starts) - len({(s["row"], s["seed"]) for s in starts})
        return {"spent": spent(self.experiment), "num_again": num_again}

    def _settings(self) -> Context:
        """The images, the settings, and how to do it again."""
        experiment = self.experiment
        every = settings_of(experiment.requested, experiment.config)
        return {
            "images": _described(experiment),
            "left_out": left_out(experiment),
            "command": command(experiment.requested, "NEW"),
            "config_path": f"{experiment.name}/config.json",
            "everything": every,
            "different": [each for each in every if each.differs],
        }


def _described(experiment: ExperimentData) -> list[tuple[str, str]]:
    found, data = [], experiment.config.data
    for name, value in experiment.images.items():
        if isinstance(value, list):
            some = ", ".join(map(str, value[:30]))
            value = some if len(value) <= 30 else f"{len(value)}: {some}, ..."
        found.append((name, str(value)))
    sources = [("source", data.source), ("target", data.target_source or "")]
    return [(name, text) for name, text in [*sources, *found] if text]
