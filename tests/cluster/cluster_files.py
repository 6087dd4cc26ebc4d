"""The files in cluster/, with something changed."""

import json
from pathlib import Path
from typing import Any

import yaml

FILES = Path(__file__).parent.parent.parent / "cluster"
GONE = object()


def changed(name: str, field: str, value: Any, folder: Path) -> Path:
    """A copy of a file with one field set, added or, with GONE, taken away.

    `field` is a path with dots between; numbers are places in a list.
    """
    # Through JSON, so that what YAML anchors share is no longer shared.
    file = json.loads(json.dumps(yaml.safe_load((FILES / name).read_text())))
    *way, last = field.split(".")
    inner = file
    for step in way:
        inner = inner[int(step) if isinstance(inner, list) else step]
    if value is GONE:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    path = folder / Path(name).name
    path.write_text(yaml.safe_dump(file, sort_keys=False))
    return path
