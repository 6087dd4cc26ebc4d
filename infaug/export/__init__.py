"""A learned augmentation that is taken away from its run.

What is imported here needs torch, torchvision, safetensors and jaxtyping, and nothing
else of what infaug depends on; writing an artefact (`export.write`) needs the run.
"""

from infaug.export.artefact import load_classifier, read_card
from infaug.export.learned_augment import LearnedAugment

__all__ = ["LearnedAugment", "load_classifier", "read_card"]
