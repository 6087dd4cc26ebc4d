"""The long-tail table: what each method's small classes reach."""

from collections.abc import Mapping, Sequence
from statistics import mean

from infaug.experiment.results import Record

GROUPS = (("large", 0, 1 / 3), ("middle", 1 / 3, 2 / 3), ("small", 2 / 3, 1))


def tail_table(found: Mapping[str, Sequence[Record]]) -> str:
    """Markdown: balanced accuracy, and accuracy and eKLD by thirds of the classes.

    Classes in order of size, the first third being the largest. Numbers are means over
    the classes of a third, then over seeds.
    """
    thirds = [f"{name} {what}" for what in ("top-1", "eKLD") for name, _, _ in GROUPS]
    titles = ["method", "balanced top-1", *thirds, "seconds", "seeds"]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for method, records in found.items():
        if not records:
            trainings = ["not run"] + [""] * (len(titles) - 2)
        else:
            seconds = mean(r["seconds"] + r["git_seconds"] for r in records)
            trainings = [
                f"{mean(r['test_balanced'] for r in records):.1f}",
                *(f"{value:.1f}" for value in by_thirds(records, "test_by_class")),
                *(f"{value:.3f}" for value in by_thirds(records, "ekld")),
                f"{seconds:.0f}",
                str(len(records)),
            ]
        lines.append(f"| {method} | " + " | ".join(trainings) + " |")
    return "\n".join(lines)


def classes_table(found: Mapping[str, Sequence[Record]], name: str) -> str:
    """Markdown: one line a method, one column a class of the first seed, by size."""
    methods = {method: records[0] for method, records in found.items() if records}
    if not methods:
        return ""
    first = next(iter(methods.values()))
    order = _by_size(first)
    lines = [
        f"| {name} | " + " | ".join(str(first["sizes"][c]) for c in order) + " |",
        "|---" * (len(order) + 1) + "|",
    ]
    for method, record in methods.items():
        shown = (f"{record[name][c]:.3g}" for c in order)
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def by_thirds(records: Sequence[Record], name: str) -> list[float]:
    """Mean of a quantity over the largest, middle and smallest third of classes."""
    found = []
    for _, low, high in GROUPS:
        values = []
        for record in records:
            order = _by_size(record)
            part = order[round(low * len(order)) : round(high * len(order))]
            values.append(mean(record[name][c] for c in part))
        found.append(mean(values))
    return found


def points(records: Sequence[Record], name: str) -> list[tuple[int, float]]:
    """(images, quantity) of each class of each seed."""
    return [
        pair
        for record in records
        for pair in zip(record["sizes"], record[name], strict=True)
    ]


def _by_size(record: Record) -> list[int]:
    return sorted(range(len(record["sizes"])), key=lambda c: -record["sizes"][c])
