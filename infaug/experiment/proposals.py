"""Settings that a plan proposes, where those given take long or train little."""

import torch

from infaug.config import RunConfig

LONG_S = 2 * 3600
FEWEST_EPOCHS = 10
SMALL = 32  # pixels; what a CPU trains on in minutes


def propose(
    config: RunConfig, epochs: float, seconds: float, device: torch.device
) -> list[str]:
    """The settings of the run as flags, and what to change if it is long or short."""
    data, settings = config.data, config.classifier
    size = f" --data.image-size {data.image_size}" if data.image_size else ""
    mode = "" if data.mode == "auto" else f" --color-mode {data.mode}"
    labels = "" if data.labels is None else f" --labels {data.labels:g}"
    what = f"--controls {config.controls}"
    if config.methods:
        what = f"--methods {' '.join(config.methods)}"
    folds = "" if data.folds is None else f" --data.folds {data.folds}"
    lines = [
        f"settings   --network {settings.network} --classifier.batch-size "
        f"{settings.batch_size}{size}{mode}{labels}{folds} --rounds.classifier-steps "
        f"{config.rounds.classifier_steps} {what} --seeds {config.seeds}"
    ]
    if seconds > LONG_S:
        smaller = (data.image_size or 0) > SMALL and device.type == "cpu"
        shrink = f" --data.image-size {SMALL}" if smaller else ""
        small = " --network allconv" if device.type == "cpu" else ""
        lines.append(
            f"shorter    --seeds 1 --methods base base_learned pooled{small}{shrink} "
            "--rounds.rounds 8 for a first look; a verdict needs three seeds and the "
            "controls"
        )
    if epochs < FEWEST_EPOCHS:
        rounds = config.rounds
        steps = round(rounds.classifier_steps * FEWEST_EPOCHS / epochs)
        lines.append(
            f"longer     --rounds.classifier-steps {steps} for {FEWEST_EPOCHS} epochs: "
            f"F sees each image only {epochs:.1f} times"
        )
    return lines
