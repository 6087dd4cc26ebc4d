"""infaug: learn how to augment images, judged by an influence function.

`infaug.fit(model, train, target)` is the whole of it; see `infaug.api`. It is imported
when it is asked for, so that `import infaug` takes no time.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Result", "fit"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("infaug.api"), name)
    raise AttributeError(f"module 'infaug' has no attribute {name!r}")
