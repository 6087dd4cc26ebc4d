"""Shapes in signatures are checked while tests run, so the hook comes first."""

import os

# One thread a process: tests are small, and the same bytes must come out anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook("infaug", "shape_checks.check")
