"""How F is trained on ImageNet, by the name of a published recipe."""

from collections.abc import Callable
from dataclasses import replace

from infaug.config import ClassifierConfig, RunConfig


def cvpr(config: RunConfig, images: int) -> RunConfig:
    """ResNet-50 of "Learning Augmentation Network via Influence Functions".

    Lee et al., CVPR 2020: 270 epochs of batches of 4,096, SGD at 0.1 for each 256
    images, warmed up for 5 epochs, a tenth from epochs 90, 180 and 240 on.
    """
    classifier = replace(
        config.classifier, network="resnet50", batch_size=4096, batch_groups=128,
        optimizer="sgd", learning_rate=1.6, schedule="steps", warmup=5 / 270,
    )  # fmt: skip
    return _of(config, classifier, epochs=270, images=images)


def a3(config: RunConfig, images: int) -> RunConfig:
    """ResNet-50 by procedure A3 of "ResNet strikes back".

    Wightman et al., 2021, Table 2, as timm has it, 78.1 % there: 100 epochs of batches
    of 2,048 at 160 px, cosine, 5 epochs of warm-up, weight decay 0.02 but for norms,
    RandAugment 6 of 10, CutMix 1.0.

    Differs from the paper: AdamW at 2e-3 with cross-entropy for LAMB at 8e-3 with
    binary cross-entropy, no MixUp in turn with CutMix, and evaluation at 160 px, the
    whole centre square's 0.95, for 224. What it reaches here is not known.
    """
    classifier = replace(
        config.classifier, network="resnet50", batch_size=2048, batch_groups=64,
        optimizer="adam", learning_rate=2e-3, weight_decay=0.02, decay_norms=False,
        schedule="cosine", warmup=5 / 100,
    )  # fmt: skip
    base = "resized_crop_flip+randaugment:18+cutmix:1"  # of torchvision's 30
    data = replace(config.data, image_size=160, centre_crop=0.95)
    changed = replace(config, data=data, rounds=replace(config.rounds, base=base))
    return _of(changed, classifier, epochs=100, images=images)


def vit_small(config: RunConfig, images: int) -> RunConfig:
    """ViT-S/16 of "Better plain ViT baselines for ImageNet-1k".

    Beyer et al., 2022, 76.5 % there: 90 epochs of batches of 1,024, Adam at 1e-3,
    decoupled decay of 1e-4 a step at the peak, cosine, 10,000 steps of warm-up,
    RandAugment of 2 operations at 10, MixUp 0.2, evaluation on 0.875.

    Differs from the paper: timm's ViT has a class token and learned positions, norms
    and biases do not decay, and gradients are not clipped.
    """
    steps = 90 * (images // 1024)
    classifier = replace(
        config.classifier, network="timm:vit_small_patch16_224", batch_size=1024,
        batch_groups=32, optimizer="adam", learning_rate=1e-3, weight_decay=0.1,
        decay_norms=False, schedule="cosine", warmup=min(10_000 / steps, 0.5),
    )  # fmt: skip
    base = "resized_crop_flip+randaugment:10+mixup:0.2"
    data = replace(config.data, image_size=224, centre_crop=0.875)
    changed = replace(config, data=data, rounds=replace(config.rounds, base=base))
    return _of(changed, classifier, epochs=90, images=images)


RECIPES: dict[str, Callable[[RunConfig, int], RunConfig]] = {
    "cvpr": cvpr, "a3": a3, "vit_small": vit_small,
}  # fmt: skip


def in_recipe(config: RunConfig, name: str, images: int) -> RunConfig:
    """`config` with F trained by a recipe, a round an epoch of so many `images`."""
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}: use {', '.join(RECIPES)}")
    return RECIPES[name](config, images)


def _of(
    config: RunConfig, classifier: ClassifierConfig, *, epochs: int, images: int
) -> RunConfig:
    """The head is trained with the decay, so H is damped by as much."""
    damping = max(config.influence.damping, classifier.weight_decay)
    rounds = replace(
        config.rounds, rounds=epochs, classifier_steps=images // classifier.batch_size
    )
    size = max(128, classifier.batch_groups)  # E and G take whole groups, too.
    return replace(
        config,
        classifier=classifier,
        rounds=rounds,
        influence=replace(config.influence, damping=damping),
        estimator=replace(config.estimator, batch_size=size),
        adversarial=replace(config.adversarial, batch_size=size),
    )
