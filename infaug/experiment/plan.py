"""What `auto` means for the given data: of images, folds, networks and the rest."""

import math
from dataclasses import replace

import torch

from infaug.augment.base import build_base, build_mixer
from infaug.classify.backbone import can_be_cut, is_backbone
from infaug.config import ClassifierConfig, DataConfig, Network, RunConfig
from infaug.cores import usable_cores
from infaug.data.images import Source
from infaug.data.on_disk import OnDisk
from infaug.data.survey import SIZES, resolve_images
from infaug.experiment.trainings import candidates_for
from infaug.influence.solve import resolve_solver
from infaug.precision import pick_device, resolve_precision
from infaug.record.folder import RunFolder

OVERLAP_SHARDS = 8  # enough for the few actors that keep up with a small training set

MAX_ON_CPU = 64  # pixels of a side, with a network that infaug chooses
PRETRAINED_ON_CPU = 128
NUM_FOLDS = 5
BATCH_SIZE, FINE_TUNING_BATCH_SIZE = 64, 32  # the latter on a CPU
FINE_TUNING_WARMUP = 0.25  # share of all steps
FINE_TUNING_DECAY = 0.1
FINE_TUNING = "resized_crop_flip:0.5+jitter:0.3"  # of a pretrained network
FINE_TUNING_RATES = {"none": 3e-4, "early": 3e-3, "body": 1e-3}  # of adam, by freeze


def resolve_data(config: RunConfig) -> tuple[DataConfig, list[str]]:
    """The data settings with what a new run decides, and lines about the choices.

    Raises:
        ValueError: for a source that is missing or of no known layout.
    """
    sizes = _sizes(config.classifier)
    data, notes = resolve_images(config.data, *sizes)
    if data.drop_duplicates is None:
        data = replace(data, drop_duplicates=True)
    return data, notes


def _sizes(config: ClassifierConfig) -> tuple[int, int]:
    """Pixels of a side: at most, for the hardware; at least, for pretrained weights.

    These know larger images, and the hardware must train in reasonable time.
    """
    on_cpu = pick_device().type == "cpu"
    if config.weights != "none":
        return PRETRAINED_ON_CPU if on_cpu else SIZES[-1], PRETRAINED_ON_CPU
    is_chosen = on_cpu and config.network == "auto"
    return MAX_ON_CPU if is_chosen else SIZES[-1], 1


def begin_data(config: RunConfig, folder: RunFolder) -> tuple[DataConfig, list[str]]:
    """The data settings that the run in `folder` began with, or begins with.

    Raises:
        ValueError: as `resolve_data`.
    """
    if not folder.is_resolved:
        return resolve_data(config)
    began = folder.config().data
    return replace(
        config.data,
        image_size=began.image_size,
        mode=began.mode,
        pixel_bits=began.pixel_bits,
        drop_duplicates=began.drop_duplicates,
        folds=began.folds,
    ), []


def with_folds(config: RunConfig, source: Source) -> RunConfig:
    """The config with the number of folds, and seeds that go through all of them.

    Raises:
        ValueError: for folds of too few or of streamed images.
    """
    data, labels = config.data, (source.target or source.train).labels
    folds = data.folds
    if folds is None:
        smallest = int(labels.bincount()[labels.unique()].min())
        can = smallest > 1 and _has_folds(config, source)
        folds = min(NUM_FOLDS, smallest) if can else 0
    if folds and isinstance(source.train, OnDisk):
        raise ValueError(
            "data.folds judges images in memory, and these are streamed: use 0, or "
            "raise --data.stream-above-gib"
        )
    if folds == 1:
        raise ValueError(
            "data.folds must be 0 or >= 2: one fold leaves nothing to train"
        )
    seeds = math.ceil(config.seeds / folds) * folds if folds else config.seeds
    return replace(config, data=replace(data, folds=folds), seeds=seeds)


def _has_folds(config: RunConfig, source: Source) -> bool:
    """Whether images judge in turn if nothing is said of it."""
    if source.test is not None or isinstance(source.train, OnDisk):
        return False
    if source.target is not None:
        return source.is_tested_on_target
    return config.mode == "online" and not config.data.is_changed


def with_fewer_folds(config: RunConfig, num: int | None) -> RunConfig:
    """As many passes over at most `num` folds."""
    before = config.data.folds
    assert before is not None, "resolved by with_folds"
    num = min(num or before, before)
    data = replace(config.data, folds=num)
    return replace(config, data=data, seeds=config.seeds // before * num)


def resolve(config: RunConfig, source: Source, device: torch.device) -> RunConfig:
    """The config for these images: its folds, and every `auto` replaced.

    Raises:
        ValueError: as `with_folds` and `resolve_config` do.
    """
    config = with_folds(config, source)
    return resolve_config(config, source.train.image_shape, device)


def resolve_config(
    config: RunConfig, shape: tuple[int, int, int], device: torch.device
) -> RunConfig:
    """The config with every `auto` replaced: a function of image shape and hardware.

    `shape` is (C, H, W).

    Raises:
        ValueError: for a base augmentation that cannot be built.
    """
    channels, height, width = shape
    size = max(height, width)
    of_paper = config.mode != "online"
    classifier = _resolve_classifier(
        config.classifier, channels, size, device, of_paper=of_paper
    )
    base = config.rounds.base
    if base == "auto" and classifier.weights != "none":
        base = FINE_TUNING
    elif base == "auto":
        base = _base(channels, size, of_paper=of_paper)
    candidates = config.tuning.candidates or candidates_for(base)
    for name in (base, *candidates):
        build_base(name)
        build_mixer(name)
    shards = config.influence.shards
    if shards is None:
        shards = OVERLAP_SHARDS if config.rounds.refresh == "overlap" else 1
    return replace(
        config,
        classifier=classifier,
        influence=replace(
            config.influence,
            shards=shards,
            solver=resolve_solver(config.influence, device),
        ),
        rounds=replace(config.rounds, base=base),
        tuning=replace(config.tuning, candidates=candidates),
        threads=config.threads or _threads(classifier),
    )


def _resolve_classifier(
    config: ClassifierConfig,
    channels: int,
    size: int,
    device: torch.device,
    *,
    of_paper: bool,
) -> ClassifierConfig:
    network = config.network
    if network == "auto":
        is_small = device.type == "cpu" and not of_paper
        network = _network(channels, size, is_small=is_small)
    optimizer = config.optimizer
    if optimizer == "auto":
        is_own = network in ("allconv", "given") or is_backbone(network)
        optimizer = "adam" if is_own else "sgd"
    freeze = config.freeze
    is_tuned_here = config.weights != "none" and device.type == "cpu"
    if freeze == "auto" and is_tuned_here:
        freeze = "early" if can_be_cut(network) else "body"
    elif freeze == "auto":
        freeze = "none"
    rate = config.learning_rate
    if rate is None:
        adam = 1e-3 if network == "given" or is_backbone(network) else 2e-3
        adam = FINE_TUNING_RATES[freeze] if config.weights != "none" else adam
        adam = 1e-2 if of_paper and network == "allconv" else adam
        rate = adam if optimizer == "adam" else 0.1
    batch_size = FINE_TUNING_BATCH_SIZE if is_tuned_here else BATCH_SIZE
    warmup, layer_decay = config.warmup, config.layer_decay
    if config.weights != "none" and freeze != "body":
        # A new head would tear up what is pretrained: F collapses without these.
        warmup = warmup or FINE_TUNING_WARMUP
        layer_decay = FINE_TUNING_DECAY if layer_decay == 1 else layer_decay
    return replace(
        config,
        network=network,
        freeze=freeze,
        warmup=warmup,
        layer_decay=layer_decay,
        batch_size=config.batch_size or batch_size,
        optimizer=optimizer,
        learning_rate=rate,
        precision=resolve_precision(config, device),
    )


def _threads(classifier: ClassifierConfig) -> int:
    """One where a step is small: trainings side by side then use cores better."""
    is_small = classifier.network == "allconv" or classifier.freeze in ("early", "body")
    return 1 if is_small else usable_cores()


def _network(channels: int, size: int, *, is_small: bool) -> Network:
    if channels == 1 and size <= 32:
        return "allconv"
    if size > 64:
        return "resnet18"
    return "resnet20" if is_small else "resnet56"


def _base(channels: int, size: int, *, of_paper: bool) -> str:
    if channels == 1:
        return "crop" if of_paper else "affine"
    return "crop_flip" if size <= 64 else "resized_crop_flip"
