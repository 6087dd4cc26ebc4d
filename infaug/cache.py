"""Where files are kept that can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder by the XDG convention."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "infaug"
