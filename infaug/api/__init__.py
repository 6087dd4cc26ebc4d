"""The Python API: `infaug.fit`, and the `Result` it returns."""

from infaug.api.fit import fit
from infaug.api.result import MethodResult, Result

__all__ = ["MethodResult", "Result", "fit"]
