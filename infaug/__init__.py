"""infaug: learn how to augment images, judged by an influence function.

`infaug.fit(model, train, target)` is the whole of it; see `infaug.api`. It is imported
when it is asked for, so that `import infaug` takes no time.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

__version__ = "0.1.0"
__all__ = ["Result", "fit"]  # pyright: ignore[reportUnsupportedDunderAll]

# Ray finds a job's `python` on the PATH that its head was started with, and sends only
# this folder: seen here, before a traceback that names some other package.
if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and find_spec("torch") is None:
    raise SystemExit(
        f"{sys.executable} has no infaug installed (no torch): submit the job with the "
        "path of a Python that has, or start the head with that Python on its PATH"
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("infaug.api"), name)
    raise AttributeError(f"module 'infaug' has no attribute {name!r}")
