"""What of a run is taken away, and in which forms."""

from dataclasses import dataclass
from typing import Literal

from infaug.config.check import require

ExportFormat = Literal["safetensors", "torch_export", "onnx"]
ExportSeed = int | Literal["best-on-selection"]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What of a run is taken away, and in which forms."""

    row: str | None = None
    """Learned row; none: the one of least mean selection loss."""
    seed: ExportSeed = "best-on-selection"
    """Which repetition: a number, or the one of least selection loss."""
    formats: tuple[ExportFormat, ...] = ("safetensors", "torch_export")
    """Weights and card are written in any case; `torch_export` adds a program that
    needs torch alone, `onnx` (pip install 'infaug[onnx]') one that needs no torch."""
    licence: str | None = None
    """Under which the artefact may be used, for the card; none: not stated."""

    def __post_init__(self):
        rule = "must be a number from 0 or best-on-selection"
        holds = self.seed == "best-on-selection" or (
            isinstance(self.seed, int) and self.seed >= 0
        )
        require(holds, "seed", rule, self.seed)
