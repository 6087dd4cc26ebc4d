"""How long a training takes on machines that are not here, and what it waits for.

A model of four parts, from stated rates: computing, input, communication, refreshes of
s_val. It says where the time goes and what to buy, and is right to a factor of two.
"""

from dataclasses import dataclass

from infaug.config import RunConfig

# Decoding a JPEG of 256 x 340 and resizing two crops of it to 224 px: 450 images/s on
# one core (measured, PIL). F forward only is three times as fast as a step.
DECODED_A_CORE = 450.0
FORWARD = 3.0
BACKWARD_SHARE = 2 / 3  # of a step: gradients travel meanwhile
ACTOR_IMAGES = 15.0  # forward, float32, ResNet-50 of 224 px on one core (estimate)


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Equal workers, each with one GPU, and what each has of its machine."""

    name: str
    workers: int
    images_a_second: float
    """Views of 224 px that a worker trains ResNet-50 on, bfloat16 (stated)."""
    gigabytes_a_second: float
    """To its peers: NVLink, or its share of the network."""
    cpus: int = 8
    interruptions_an_hour: float = 0.0
    """Of one worker; each costs all of them a restart."""


EIGHT_A100 = Machines(
    name="8 x A100, one machine", workers=8, images_a_second=2600,
    gigabytes_a_second=200, cpus=12,
)  # fmt: skip
SPOT_A10G = Machines(
    name="64 x A10G, spot", workers=64, images_a_second=700,
    gigabytes_a_second=1.25, interruptions_an_hour=0.02,
)  # fmt: skip
ONE_A10G = Machines(
    name="1 x A10G", workers=1, images_a_second=700, gigabytes_a_second=1.25
)
RESTART_S = 90.0  # to the next step, and half of the steps between two checkpoints


@dataclass(frozen=True, kw_only=True)
class Network:
    """What F is: ResNet-50 of 224 px unless said otherwise."""

    parameters: int = 25_557_032
    features: int = 2048
    classes: int = 1000


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Hours of one training that learns, by part; only what is waited for counts."""

    compute_h: float
    input_h: float
    communication_h: float
    refresh_h: float
    restart_h: float
    cores_needed: float
    """To decode as fast as a worker computes."""
    refresh_s: float
    """One refresh on the training GPUs."""
    pool_s: float
    """One refresh by a pool of a core for each worker."""
    stale_steps: int
    """How old s_val is when that pool has it."""

    @property
    def hours(self) -> float:
        """In all."""
        waited = self.input_h + self.communication_h + self.refresh_h
        return self.compute_h + waited + self.restart_h


def forecast(
    config: RunConfig, machines: Machines, influence: int, network: Network
) -> Forecast:
    """One training of a method that learns.

    Args:
        config: of the training.
        machines: that train together.
        influence: images in the influence split.
        network: F.
    """
    f, rounds, count = config.classifier, config.rounds, machines.workers
    steps = rounds.rounds * rounds.classifier_steps
    views_s = f.batch_size * f.views / (count * machines.images_a_second)
    cores = machines.images_a_second / f.views / DECODED_A_CORE
    input_s = views_s * max(0.0, cores / machines.cpus - 1)
    sent = 2 * (count - 1) / count * 4 * network.parameters
    all_reduce_s = sent / (machines.gigabytes_a_second * 1e9)
    waited_s = max(0.0, all_reduce_s - BACKWARD_SHARE * views_s)
    seen = influence + (config.influence.hessian_samples or 0)
    rate = FORWARD * machines.images_a_second
    refresh_s = seen / (count * rate)
    pool_s = seen / (count * ACTOR_IMAGES)
    lost_h = machines.interruptions_an_hour * count * RESTART_S / 3600
    compute_h, refresh_h = steps * views_s / 3600, rounds.rounds * refresh_s / 3600
    return Forecast(
        compute_h=compute_h,
        input_h=steps * input_s / 3600,
        communication_h=steps * waited_s / 3600,
        refresh_h=refresh_h,
        restart_h=lost_h * compute_h,
        cores_needed=cores,
        refresh_s=refresh_s,
        pool_s=pool_s,
        stale_steps=round(pool_s / views_s),
    )


def describe(machines: Machines, found: Forecast) -> list[str]:
    """A line for each part, and what to do about the largest."""
    where = "training GPUs" if found.refresh_h < 0.05 * found.hours else "pool"
    return [
        f"{machines.name}: {found.hours:.0f} h a training that learns (estimate)",
        f"  compute        {found.compute_h:.1f} h",
        f"  input          {found.input_h:.1f} h: decoding takes "
        f"{found.cores_needed:.1f} cores a worker, it has {machines.cpus}",
        f"  communication  {found.communication_h:.1f} h beside the backward pass",
        f"  refresh        {found.refresh_h:.1f} h: {found.refresh_s:.1f} s each on "
        f"the training GPUs, {found.pool_s:.0f} s in a pool of a core for each worker "
        f"(s_val is then {found.stale_steps} steps old); better on the {where}",
        f"  restarts       {found.restart_h:.1f} h",
    ]
