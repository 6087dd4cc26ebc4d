"""What each section of one run's page needs; the page itself is in `templates`."""

from collections.abc import Mapping
from typing import Any

from infaug.experiment.verdict import comparisons
from infaug.report.facts import Facts
from infaug.report.figures import draw_curves, draw_differences, draw_spread
from infaug.report.gallery import LARGEST_PX, before_and_after, examples, interpolation
from infaug.report.influences import checks_in, rank_views
from infaug.report.learned import (
    MOST_CLASSES,
    QUANTITIES,
    groups_of,
    known_shift,
    measure,
    sample_of_classes,
)
from infaug.report.logs import METRICS, curves, refreshes, reviews, spent
from infaug.report.material import Material
from infaug.report.settings import command, settings_of
from infaug.report.standing import (
    by_class,
    gaps,
    left_out,
    speaking_row,
    standings,
    tops,
)
from infaug.report.toward_use import Seen
from infaug.report.words import number
from infaug.training.methods import METHODS

Context = Mapping[str, Any]
NUM_AIMS = 10
FEW_IMAGES = 4  # of the rows that the verdict is not about


def results(facts: Facts) -> Context:
    """The table, and the paired differences."""
    made = comparisons(tops(facts))
    lines = standings(facts)
    if not lines:
        raise ValueError("it is not settled yet which rows are run")
    return {
        "facts": facts,
        "standings": lines,
        "seeds": range(facts.config.seeds),
        "gaps": gaps(facts),
        "has_random": any(line.is_part for line in lines),
        "notes": _chosen(facts),
        "by_class": by_class(facts),
        "differences": made,
        "forest": draw_differences(made) if made else "",
        "speaking": speaking_row(facts),
    }


def _chosen(facts: Facts) -> list[str]:
    chosen = [
        f"{found['base']} (seed {seed})"
        for seed, found in facts.found.get("base_tuned", {}).items()
        if "base" in found
    ]
    return [f"base_tuned chose {', '.join(chosen)}."] if chosen else []


def training_curves(facts: Facts) -> Context:
    """Accuracy and losses over rounds."""
    found = [(metric, curves(facts, metric.key)) for metric in METRICS]
    drawn = [(metric, lines) for metric, lines in found if lines]
    if not drawn:
        raise ValueError("no step of F has been reported yet")
    rows = [row for row in facts.row_names if any(row in lines for _, lines in drawn)]
    charts = [(metric.title, draw_curves(lines, metric)) for metric, lines in drawn]
    return {"rows": rows, "charts": charts}


def pictures(material: Material) -> Context:
    """Images before and after, for every learned row."""
    images, config = material.splits.train, material.facts.config
    galleries = []
    for row, transform in material.transforms.items():
        num = 8 if row == material.row else FEW_IMAGES
        shown = before_and_after(transform, images, config.estimator, num)
        galleries.append((row, shown))
    return {
        "galleries": galleries,
        "seed": material.seed,
        "on_base": METHODS[material.row].learns_on_base,
        "aims": examples(material.splits.influence, NUM_AIMS, "influence image"),
        "is_large": is_large(material),
    }


def is_large(material: Material) -> bool:
    """Whether images are shown smaller than they are, and so need no sharp pixels."""
    return max(material.splits.train.image_shape[1:]) > LARGEST_PX / 2


def toward_use(seen: Seen) -> Context:
    """Learned views between training images and those of use."""
    use_name = "images of use" if seen.has_use else "influence images"
    moved = next(iter(seen.rows.values()))
    return {
        "seen": seen,
        "caption": f"Training images, learned views and {use_name}, seed {seen.seed}",
        "looks": [each.look for each in moved],
        "train": [each.train for each in moved],
        "use": [each.use for each in moved],
        "use_name": use_name,
    }


def learned(material: Material) -> Context:
    """What E learned, for each class."""
    facts, images = material.facts, sample_of_classes(material.splits.train)
    channels, height, width = images.image_shape
    del channels
    known = known_shift(facts.config.data.shift, width, height)
    found = {
        row: measure(transform, images, facts.config.estimator)
        for row, transform in material.transforms.items()
    }
    mine = found.pop(material.row)
    groups = groups_of(mine)
    others = []
    for row, views in found.items():
        whole = groups_of(views, row)[:1]
        charts = [draw_spread(whole, q, known.get(q.key)) for q in QUANTITIES]
        others.append((row, charts))
    num_classes = material.splits.num_classes
    return {
        "num": len(images),
        "row": material.row,
        "seed": material.seed,
        "num_classes": MOST_CLASSES,
        "more_classes": num_classes if num_classes > MOST_CLASSES else 0,
        "groups": groups,
        "quantities": QUANTITIES,
        "charts": [draw_spread(groups, q, known.get(q.key)) for q in QUANTITIES],
        "known": known,
        "leftover": number(float(mine.leftover.median())),
        "others": others,
    }


def way_of_tau(material: Material) -> Context:
    """One image on the way from one tau to another."""
    config = material.facts.config.estimator
    if config.tau_noise == 0:
        raise ValueError("tau has no noise in this run, so there is nothing between")
    transform = material.transforms[material.row]
    return {
        "strips": interpolation(transform, material.splits.train, config),
        "row": material.row,
        "seed": material.seed,
        "is_large": is_large(material),
    }


def extremes(material: Material) -> Context:
    """The most helpful and the most harmful views."""
    return {
        "found": rank_views(material.finished, material.facts.path),
        "row": material.row,
        "seed": material.seed,
        "is_large": is_large(material),
    }


def predictions(facts: Facts) -> Context:
    """Predicted against refitted."""
    return {"checks": checks_in(facts.path)}


def refreshing(facts: Facts) -> Context:
    """The log of s_val, and that of the reviews."""
    try:
        reviewed = reviews(facts)
    except ValueError as error:
        reviewed = str(error)
    return {
        "refreshes": refreshes(facts),
        "reviews": reviewed,
        "solver": facts.config.influence.solver,
    }


def compute(facts: Facts) -> Context:
    """Where the time went."""
    return {"spent": spent(facts)}


def settings(facts: Facts) -> Context:
    """The images, the settings, and how to do it again."""
    everything = settings_of(facts.asked, facts.config)
    return {
        "data": _data(facts),
        "left_out": left_out(facts),
        "command": command(facts.asked, "NEW"),
        "config_path": f"{facts.name}/config.json",
        "everything": everything,
        "different": [each for each in everything if each.differs],
    }


def _data(facts: Facts) -> list[tuple[str, str]]:
    found = []
    for name, value in facts.data.items():
        if isinstance(value, list):
            some = ", ".join(map(str, value[:30]))
            value = some if len(value) <= 30 else f"{len(value)}: {some}, ..."
        found.append((name, str(value)))
    data = facts.config.data
    named = [("source", data.source)]
    if data.target_source is not None:
        named.append(("target", data.target_source))
    return [*named, *found] if found else []
