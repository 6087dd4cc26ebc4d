r"""ImageNet with ResNet-50: the CVPR 2020 recipe, streamed from Parquet.

"Learning Augmentation Network via Influence Functions" (Lee et al., CVPR 2020), top-1
on the validation set, second-hand: 77.1 (AutoAugment 77.6, RandAugment 77.6); the one
independent harness has 77.2 for the plain recipe. 270 epochs of batches of 4,096;
learning rate 1.6, a tenth of it from epochs 90, 180 and 240 on, warmed up for 5; 50,000
training images drive the influence, 5,000 choose; E, G and critics of 224 px. The rate
follows the linear rule, 0.1 for each 256 images: with another batch size give
`--classifier.learning-rate` anew. Not run here.

    infaug data prepare ILSVRC2012 FOLDER --shorter-side 256
    python ray_jobs/imagenet.py --data FOLDER --plan
    ray job submit --working-dir . -- python ray_jobs/imagenet.py --data FOLDER \
        --workers 8 --out /shared/imagenet
    python ray_jobs/imagenet.py --smoke       # any machine: two steps of everything

`--plan` prints hours on three kinds of machines from stated rates, then workers,
batches, memory and hours here, and stops; a run prints the latter before it begins.
The same command continues it. Out of GPU memory, each worker's part of a batch goes
through F in more pieces; the batch stays. `--methods base base_learned base_tuned` adds
controls. Cost: two methods of 270 epochs with two views are about 1,080 epochs of plain
training.

`--recipe a3 | vit_small` trains F as timm's A3 does, or a ViT-S; see
`ray_jobs/imagenet_recipes.py` for sources and differences.

`--smoke` takes scikit-learn's digits, drawn large, unless --data is given. A pool
solves for s_val, and the run is killed where it begins to learn, and continued.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from imagenet_recipes import in_recipe

from infaug.cli.fit import job
from infaug.cli.terminal import guarded
from infaug.config import DataConfig, RoundsConfig, RunConfig, in_mode
from infaug.data.digits import digits
from infaug.data.download import write_parquet
from infaug.record.folder import RunFolder

IMAGES = 1_226_167  # those that neither drive nor choose

BEGIN = RunConfig(
    data=DataConfig(
        source="imagenet", target=55_000, influence_share=10 / 11, image_size=224,
        mode="RGB",
    ),
    rounds=RoundsConfig(estimator_steps=20),
    methods=("base", "base_learned"),
    seeds=1,
)  # fmt: skip
CONFIG = in_recipe(in_mode(BEGIN, "cvpr"), "cvpr", IMAGES)
SMOKE = replace(
    CONFIG,
    data=replace(
        CONFIG.data, source="", image_size=96, labels=60, target=40,
        influence_share=0.5, test=20, stream_above_gib=0,
    ),
    classifier=replace(
        CONFIG.classifier, batch_size=4, batch_groups=2, learning_rate=1e-3
    ),
    adversarial=replace(CONFIG.adversarial, batch_size=2, steps=2),
    estimator=replace(CONFIG.estimator, batch_size=2),
    influence=replace(CONFIG.influence, hessian_samples=8, max_products=4),
    rounds=replace(
        CONFIG.rounds, rounds=2, classifier_steps=1, estimator_steps=2,
        checkpoint_every_steps=1,
    ),
)  # fmt: skip
SMOKE_DATA = Path("runs/imagenet-smoke-data")
KILLED = "INFAUG_SMOKE_KILLED"  # in the environment of the run that is to be killed


# Machines of `--plan`: workers with a GPU each, views of 224 px that a worker trains
# ResNet-50 on in a second (stated), gigabytes a second to its peers, its cores, and
# times an hour that it is taken away.
MACHINES = {
    "8 x A100, one machine": (8, 2600.0, 200.0, 12, 0.0),
    "64 x A10G, spot": (64, 700.0, 1.25, 8, 0.02),
    "1 x A10G": (1, 700.0, 1.25, 8, 0.0),
}
PARAMETERS = 25_557_032
DECODED_A_CORE = 450.0  # images a second: 256 x 340 to two crops (measured, PIL)
FORWARD = 3.0  # times as fast as a step
BACKWARD_SHARE = 2 / 3  # of a step: gradients travel meanwhile
RESTART_S = 90.0  # to the next step, and half of the steps between two checkpoints


def forecast(
    config: RunConfig, workers: int, views_a_second: float, gigabytes_a_second: float,
    cpus: int, interruptions_an_hour: float,
) -> dict[str, float]:  # fmt: skip
    """Hours of a training that learns, by what they are waited for; to a factor of two.

    Computing, and beyond it input, communication, refreshes of s_val and restarts.
    """
    f, rounds, data = config.classifier, config.rounds, config.data
    assert data.image_size, "images are streamed"
    assert data.target, "some drive"
    views_a_second *= (224 / data.image_size) ** 2
    steps_h = rounds.rounds * rounds.classifier_steps / 3600
    step_s = f.batch_size * f.views / (workers * views_a_second)
    cores = views_a_second / f.views / DECODED_A_CORE
    sent = 2 * (workers - 1) / workers * 4 * PARAMETERS
    sent_s = sent / (gigabytes_a_second * 1e9)
    drive = data.target * data.influence_share
    seen = drive + (config.influence.hessian_samples or 0)
    refresh_s = seen / (workers * FORWARD * views_a_second)
    refreshes = 1 if rounds.s_val == "once" else rounds.rounds
    lost = interruptions_an_hour * workers * RESTART_S / 3600
    return {
        "compute": steps_h * step_s,
        "input": steps_h * step_s * max(0.0, cores / cpus - 1),
        "communication": steps_h * max(0.0, sent_s - BACKWARD_SHARE * step_s),
        "refresh": refreshes * refresh_s / 3600,
        "restarts": steps_h * step_s * lost,
    }


def write_digits(file: Path) -> None:
    """scikit-learn's handwritten digits, drawn large."""
    # infaug is imported first: it reports a Python that lacks its packages.
    from torchvision.transforms.functional import to_pil_image

    drawn = digits(image_size=64, mode="RGB")
    images = map(to_pil_image, drawn.images)
    pairs = list(zip(images, drawn.labels.tolist(), strict=True))
    write_parquet(pairs, file, drawn.class_names)


def main() -> int:
    """The job; a smoke test without --data makes its own."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe", default="cvpr")
    parser.add_argument("--out", default="runs/imagenet")
    own, argv = parser.parse_known_args()
    config, smoke = in_recipe(CONFIG, own.recipe, IMAGES), SMOKE
    if "--smoke" in argv and not any(word.startswith("--data") for word in argv):
        file = SMOKE_DATA / "train.parquet"
        if not file.exists():
            write_digits(file)
        smoke = replace(SMOKE, data=replace(SMOKE.data, source=str(SMOKE_DATA)))
    if "--smoke" in argv and KILLED not in os.environ:
        begin_and_kill(Path(own.out))
    if "--plan" in argv and "--smoke" not in argv:
        for name, machines in MACHINES.items():
            hours = forecast(config, *machines)
            print(f"{name}: {sum(hours.values()):.0f} h a training (estimate)")
            for part, spent in hours.items():
                print(f"  {part:14} {spent:.1f} h", flush=True)
    sys.argv[1:] = argv
    return job(config, own.out, smoke, smoke_pool="1")


def begin_and_kill(out: Path) -> None:
    """Run this very command until E has learned, and kill it."""
    began = subprocess.Popen(
        [sys.executable, *sys.argv], env={**os.environ, KILLED: ""}
    )
    while began.poll() is None:
        lines = RunFolder(out).lines("metrics.jsonl")
        if any(line["phase"] == "estimate" for line in lines):
            began.kill()
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(guarded(main))
