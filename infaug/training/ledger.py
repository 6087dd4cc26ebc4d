"""What E does to some images, written down each time it has learned.

The images are the stored ones, without base augmentation, so that a line can be checked
by hand: x_aug = G(x, tau) with the line's tau and the G of that moment.
"""

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from infaug.data.dataset import Labelled, to_float
from infaug.data.on_disk import OnDisk
from infaug.data.problem import Splits
from infaug.data.share import local_part
from infaug.estimate.learned_transform import draw_view
from infaug.influence.score import replace_influence, with_bias
from infaug.randomness import RandomNumbers
from infaug.record.ledger_file import encode, ledger_name
from infaug.record.training_logger import TrainingLogger
from infaug.training.state import Training
from infaug.transform.affine_flows import decompose, fit_affine
from infaug.transform.fields import Fields, apply_fields
from infaug.transform.spatial import affine_flow, flow_of
from infaug.world import World

CHUNK = 250  # images that go through F together; fixed, so that bytes are


class Ledger:
    """Which images of a training are written down, and how.

    The first process does it alone, so the number of workers makes no difference.
    """

    def __init__(self, training: Training, splits: Splits):
        self.training, self.splits = training, splits

    def write(self, round_: int, logger: TrainingLogger) -> None:
        """Write the file of a round; every process calls this, F being in any mode."""
        name = ledger_name(self.training.method.name, self.training.seed, round_)
        logger.keep(name, partial(self.of_round, round_))

    def of_round(self, round_: int) -> bytes:
        """The file's content: what E and G do now, judged by F and S as they stand."""
        training = self.training
        was_training = training.classifier.training
        training.classifier.eval()
        num = len(self.images)
        parts = [
            self._chunk(slice(first, first + CHUNK), round_)
            for first in range(0, num, CHUNK)
        ]
        training.classifier.train(was_training)
        found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        values = {name: column.cpu().numpy() for name, column in found.items()}
        where = {
            "method": [training.method.name] * num,
            "seed": [training.seed] * num,
            "round": [round_] * num,
        }
        columns = {**where, **self._who, **values, "tau": list(values["tau"])}
        return encode(columns, self._about())

    @cached_property
    def picked(self) -> Int64[Tensor, "n"]:
        """Numbers of the images, spread evenly over all that F is trained on."""
        total = len(self.training.train)
        wanted = self.training.config.rounds.ledger_images
        num = total if wanted is None else min(wanted, total)
        return torch.arange(num) * total // num

    @cached_property
    def images(self) -> Labelled:
        """Of a set on disk they are decoded once, and kept for later starts."""
        train = self.training.train
        if isinstance(train, OnDisk):
            return local_part(train.part(self.picked), World())
        return train.select(self.picked)

    @cached_property
    def _who(self) -> Mapping[str, Any]:
        names, labels = self.images.class_names, self.images.labels.tolist()
        source, drives = self.splits.trained_on(self.training.method.is_pooled)
        return {
            "image": self.picked.tolist(),
            "split": [
                "influence" if drives[i] else "train" for i in self.picked.tolist()
            ],
            "source_index": source[self.picked].tolist(),
            "label": labels,
            "class_name": [names[label] for label in labels],
        }

    def _about(self) -> dict[str, Any]:
        return {
            "num_train": len(self.training.train),
            "strength": self.training.strength,
            "damping": self.training.config.influence.damping,
        }

    @torch.no_grad()
    def _chunk(self, rows: slice, round_: int) -> dict[str, Tensor]:
        training, how = self.training, self.training.config.estimator
        x = to_float(self.images.images[rows]).to(training.device, training.dtype)
        y = self.images.labels[rows].to(training.device)
        seed_key = (training.seed, "ledger", round_, rows.start)
        rng = RandomNumbers.of_size(len(x), *seed_key, device=training.device)
        transform = training.transform
        drawn = draw_view(how, transform.config.tau_size, 1.0, rng)
        tau = transform.tau(x, drawn.noise, drawn.mask)
        fields = transform.bounded(transform.generator.unbounded(tau))
        x_aug = apply_fields(x, fields, padding=transform.config.padding)
        return {"tau": tau.float(), **shown(fields), **self._judged(x, x_aug, y)}

    def _judged(self, x: Tensor, x_aug: Tensor, y: Tensor) -> dict[str, Tensor]:
        training = self.training
        seen, losses = [], []
        for images in (x, x_aug):
            h = training.classifier.features(images).to(training.s_val.dtype)
            logits = training.classifier.head(h)
            seen += [logits.softmax(dim=1), with_bias(h)]
            losses.append(F.cross_entropy(logits, y, reduction="none").float())
        one_hot = F.one_hot(y, training.num_classes).to(training.s_val.dtype)
        influence = replace_influence(training.s_val, one_hot, *seen)
        return {
            "influence": influence.double(),
            "loss_before": losses[0],
            "loss_after": losses[1],
        }


def shown(fields: Fields) -> dict[str, Float[Tensor, "B"]]:
    """What fields do to an image in numbers for the eye, by column of the ledger.

    The affine numbers are those of the map closest to the flow; contrast and brightness
    are means over pixels and colours of what a grey image gets.
    """
    flow = flow_of(fields.matrix, fields.offset).double()
    affine = fit_affine(flow)
    seen = decompose(affine, *flow.shape[1:3])
    rest = flow - affine_flow(affine, *flow.shape[1:3])
    channels = fields.bias.shape[1]
    found = {
        "rotation_deg": seen.rotation_deg,
        "shear_deg": seen.shear_deg,
        "scale_x": seen.scale[:, 0],
        "scale_y": seen.scale[:, 1],
        "translation_x": seen.translation[:, 0],
        "translation_y": seen.translation[:, 1],
        # Two units of a flow are one side.
        "not_affine": rest.square().sum(dim=3).mean(dim=(1, 2)).sqrt() / 2,
        "contrast": 1 + channels * fields.filter.double().mean(dim=(1, 2, 3)),
        "brightness": fields.bias.double().mean(dim=(1, 2, 3)),
    }
    return {name: column.float() for name, column in found.items()}
