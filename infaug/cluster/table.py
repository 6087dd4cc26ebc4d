"""A checked cluster file, as text."""

from infaug.cluster.check import Checked
from infaug.cluster.groups import Group, spell


def table(checked: Checked) -> str:
    """Groups, how many nodes of each, what each has, and what that comes to."""
    cluster = checked.cluster
    least = sum(group.least for group in cluster.workers)
    nodes = f"{least}..{cluster.max_workers}"
    lines = [f"{cluster.name} on {cluster.provider}: the head and {nodes} nodes"]
    cells = [("group", "nodes", "each", "together"), *map(_cells, cluster.groups)]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for row in cells:
        padded = [
            text.ljust(width) for text, width in zip(row[:3], widths, strict=True)
        ]
        lines.append("  " + "  ".join([*padded, row[3]]).rstrip())
    if checked.to_fill_in:
        numbers = ", ".join(str(number) for number in checked.to_fill_in)
        lines.append(f"FILL-IN is left on lines {numbers}")
    return "\n".join(lines)


def _cells(group: Group) -> tuple[str, str, str, str]:
    same = group.least == group.most
    nodes = str(group.most) if same else f"{group.least}..{group.most}"
    together = {name: group.most * amount for name, amount in group.resources.items()}
    return group.name, nodes, spell(group.resources), spell(together)
