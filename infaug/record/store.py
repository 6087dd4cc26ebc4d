"""Fitted generators by what decided them: fitted once, used by methods, seeds and runs.

STORE/KEY/generator.safetensors   the weights
STORE/KEY/fit.json                what decided them (KEY is its hash), what was measured

A folder appears whole, by renaming: killed or racing processes leave none half written.
"""

import json
import os
import shutil
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from infaug.record.atomic import write_json, write_tensors


class GeneratorStore:
    """A folder of fitted generators; runs may share it."""

    def __init__(self, path: Path):
        self.path = path

    def place(self, identity: Mapping[str, Any]) -> Path:
        """The folder of the generator that this decided."""
        text = json.dumps(identity, sort_keys=True)
        return self.path / blake2b(text.encode(), digest_size=10).hexdigest()

    def find(self, identity: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """The weights, or None if they are still to be fitted.

        Raises:
            ValueError: if they are there but cannot be read.
        """
        place = self.place(identity)
        if not place.exists():
            return None
        try:
            return load_file(place / "generator.safetensors")
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f"{place} cannot be read ({error}): delete that folder, and the "
                "generator is fitted again"
            ) from error

    def keep(
        self,
        identity: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        measured: Mapping[str, float],
    ) -> None:
        """Add a fitted generator; one that another process added meanwhile stays.

        Raises:
            OSError: if the folder cannot be written.
        """
        place = self.place(identity)
        partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
        try:
            partial.mkdir(parents=True, exist_ok=True)
            write_tensors(partial / "generator.safetensors", weights)
            write_json(
                partial / "fit.json",
                {"decided_by": dict(identity), "measured": dict(measured)},
            )
            partial.rename(place)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            if not place.exists():
                raise
