"""Steps of F by infaug and by a plain DDP loop, in the same processes."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from paired import take_turns
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from infaug.augment.base import build_base
from infaug.classify.batchnorm import GroupedBatchNorm
from infaug.classify.fit import build_optimizer, fit_classifier
from infaug.classify.network import ImageClassifier, build_classifier
from infaug.config import ClassifierConfig, Network, RunConfig
from infaug.data.dataset import Labelled, to_float
from infaug.data.problem import Splits
from infaug.experiment.plan import resolve_config
from infaug.precision import autocast, pick_device
from infaug.randomness import RandomNumbers, generator
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World

ENDLESS = 10**6


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is trained on what."""

    network: Network
    shape: tuple[int, int, int]
    num_classes: int
    batch_size: int
    num_images: int = 2048

    @property
    def config(self) -> RunConfig:
        """As a run would have it, resolved."""
        args = ClassifierConfig(network=self.network, batch_size=self.batch_size)
        return resolve_config(RunConfig(classifier=args), self.shape, pick_device())

    def images(self) -> Labelled:
        """Of noise: what they show costs nothing."""
        rng = generator("benchmark of scale", self.network)
        size = (self.num_images, *self.shape)
        images = torch.randint(256, size, dtype=torch.uint8, generator=rng)
        labels = torch.randint(self.num_classes, size[:1], generator=rng)
        names = tuple(str(number) for number in range(self.num_classes))
        return Labelled(images, labels, names)

    def splits(self) -> Splits:
        """The images to train on, and hardly any others."""
        train = self.images()
        few = train.select(torch.arange(1))
        return Splits(
            train=train, influence=few, selection=few, test=few,
            unlabelled=train.images[:0],
        )  # fmt: skip


PROBLEMS = {
    "allconv": Problem(
        network="allconv", shape=(1, 28, 28), num_classes=10, batch_size=64
    ),
    "resnet56": Problem(
        network="resnet56", shape=(3, 32, 32), num_classes=100, batch_size=64
    ),
    "resnet50": Problem(
        network="resnet50", shape=(3, 224, 224), num_classes=1000, batch_size=256,
        num_images=1024,
    ),
}  # fmt: skip


def infaug_steps(problem: Problem, world: World) -> Iterator[object]:
    """The model that DDP has: each process normalises its part by itself."""
    config = problem.config
    settings = replace(config.classifier, batch_groups=world.size)
    return steps_of_run(problem, replace(config, classifier=settings), world)


def grouped_steps(problem: Problem, world: World) -> Iterator[object]:
    """With the default groups, which stay the same when workers come and go."""
    return steps_of_run(problem, problem.config, world)


def steps_of_run(problem: Problem, config: RunConfig, world: World) -> Iterator[object]:
    """What a round does of F: views of its batch, and a step on them."""
    device = pick_device()
    training = Training(METHODS["base"], 0, problem.splits(), config, world, device)
    return fit_classifier(
        training.classifier,
        training.optimizers["classifier"],
        training.views_at,
        range(ENDLESS),
        config.classifier,
        num_steps=ENDLESS,
        world=world,
    )


def ddp_steps(problem: Problem, world: World) -> Iterator[object]:
    """As one would write it: the same network, batch, optimizer, views and format.

    BatchNorm is torch's, over this process's part of the batch; nothing is checked, and
    no loss is read.
    """
    config, device = problem.config, pick_device()
    settings, train = config.classifier, problem.images().to(device)
    plain = plain_classifier(problem, train).to(device)
    model = DistributedDataParallel(plain)
    optimizer = build_optimizer(plain, settings)
    base, each = build_base(config.rounds.base), settings.batch_size // world.size
    rng = RandomNumbers.of_size(each, "ddp", world.rank, device=device)
    for indices in shares(len(train), settings.batch_size, world):
        x, y = to_float(train.images[indices]), train.labels[indices]
        views = [base(x, rng), base(x, rng)]
        yield plain_step(model, optimizer, views, y, settings)


def plain_step(
    model: nn.Module,
    optimizer: Optimizer,
    views: list[Tensor],
    y: Tensor,
    settings: ClassifierConfig,
) -> None:
    """A step as one would write it."""
    x = torch.stack(views, dim=1).flatten(0, 1)
    if settings.channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    with autocast(x.device, settings.precision):
        logits = model(x)
    loss = F.cross_entropy(logits.float(), y.repeat_interleave(len(views)))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def plain_classifier(problem: Problem, train: Labelled) -> ImageClassifier:
    """F with torch's own BatchNorm."""
    settings, channels = problem.config.classifier, problem.shape[0]
    plain = build_classifier(settings.network, channels, problem.num_classes, 0)
    plain.normalise_by(to_float(train.images[:1000].cpu()))
    with_own_batchnorm(plain)
    if settings.channels_last:
        plain.to(memory_format=torch.channels_last)
    return plain


def with_own_batchnorm(model: nn.Module) -> None:
    """Undo `convert_batchnorm`."""
    for name, child in model.named_children():
        if isinstance(child, GroupedBatchNorm):
            own = nn.BatchNorm2d(child.weight.numel(), child.eps, child.momentum)
            own.load_state_dict(child.state_dict())
            setattr(model, name, own)
        else:
            with_own_batchnorm(child)


def shares(num_images: int, batch_size: int, world: World) -> Iterator[Tensor]:
    """This process's part of each batch, epoch after epoch."""
    rng = generator("ddp", "epochs")
    while True:
        order = torch.randperm(num_images, generator=rng)
        for batch in order.split(batch_size):
            if len(batch) == batch_size:
                yield batch.chunk(world.size)[world.rank].to(pick_device())


WAYS: dict[str, Callable[[Problem, World], Iterator[object]]] = {
    "infaug": infaug_steps,
    "grouped": grouped_steps,
    "ddp": ddp_steps,
}


def turn(steps: Iterator[object], count: int) -> float:
    """Seconds of so many steps, until all processes have done them."""
    meet()
    began = time.perf_counter()
    for _ in islice(steps, count):
        pass
    meet()
    return time.perf_counter() - began


def meet() -> None:
    """Wait for this process's GPU and for the other processes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    dist.barrier()


def compare(
    rank: int,
    size: int,
    place: Path,
    name: str,
    batch_size: int,
    steps: int,
    repeats: int,
) -> None:
    """What each process does; the first one leaves its seconds in `place`.

    Args:
        rank: of this process.
        size: processes.
        place: a folder that they share and that is empty.
        name: of the problem.
        batch_size: images of a step.
        steps: in a turn.
        repeats: turns that each way takes.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(1)
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        init_method=f"file://{place / 'meeting'}",
        rank=rank,
        world_size=size,
    )
    try:
        world = World.joined()
        problem = replace(PROBLEMS[name], batch_size=batch_size)
        begun = {way: begin(problem, world) for way, begin in WAYS.items()}
        for way in begun.values():
            turn(way, steps)  # Warm up.
        found = take_turns(
            {way: lambda s=s: turn(s, steps) for way, s in begun.items()}, repeats
        )
        if world.is_first:
            (place / "seconds.json").write_text(json.dumps(found))
    finally:
        dist.destroy_process_group()
