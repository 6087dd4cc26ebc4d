"""What a plain script makes of photographs and 12 images a class of another kind.

The same pretrained layers, of which the same learn, and the same images as
`ray_jobs/photos.py` with that seed: both sources at once, flips and crops, AdamW and
one cycle, for so many CPU seconds. The rest of the target domain judges.

    python benchmarks/plain_script.py PACS/photo.parquet PACS/cartoon.parquet --seed 0
"""

import argparse
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torchvision.transforms import v2

from infaug.classify.backbone import begin_backbone, build_backbone
from infaug.config import ClassifierConfig, DataConfig
from infaug.data.dataset import to_float
from infaug.data.source import load
from infaug.randomness import generator

CLASSIFIER = ClassifierConfig(
    network="efficientnet_lite0", weights="default", freeze="early"
)

parser = argparse.ArgumentParser()
parser.add_argument("source", type=Path)
parser.add_argument("target", type=Path)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--rate", type=float, default=1e-3, help="at most")
parser.add_argument("--seconds", type=float, default=900, help="of CPU")
args = parser.parse_args()

parts = []
for path, num in ((args.source, 60), (args.target, 12)):
    whole = load(DataConfig(source=str(path), image_size=128)).train
    order = torch.randperm(len(whole), generator=generator(args.seed, path.stem))
    of_each = [order[whole.labels[order] == k] for k in range(whole.num_classes)]
    parts.append(whole.select(torch.cat([at[:num] for at in of_each])))
    rest = whole.select(torch.cat([at[num:] for at in of_each]))

began, train = time.process_time(), parts[0] + parts[1]
torch.manual_seed(args.seed)
model = build_backbone("efficientnet_lite0", train.num_classes, args.seed)
begin_backbone(model, CLASSIFIER)
augment = v2.Compose([v2.RandomResizedCrop(128, (0.5, 1)), v2.RandomHorizontalFlip()])
learning = [p for name, p in model.named_parameters() if name not in model.fixed]
optimizer = torch.optim.AdamW(learning, lr=args.rate, weight_decay=1e-2)
cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate, 10_000)
steps, share = 0, 0.0
while share < 1:
    at = torch.randint(len(train), (32,))
    x = torch.stack([augment(image) for image in train.images[at]])
    with torch.no_grad():
        early = model.train().first(to_float(x))
    logits = model.head(model.parts[1](early))
    F.cross_entropy(logits, train.labels[at]).backward()
    optimizer.step()
    optimizer.zero_grad()
    steps, share = steps + 1, (time.process_time() - began) / args.seconds
    while cycle.last_epoch < min(10_000 * share, 9_999):  # The cycle is that of time.
        cycle.step()
with torch.no_grad():
    parts = rest.images.split(50)
    likeliest = torch.cat([model.eval()(to_float(x)).argmax(dim=1) for x in parts])
accuracy = 100 * (likeliest == rest.labels).float().mean()
print(f"{accuracy:.1f} % of {len(rest)}, {steps} steps, {args.seconds:.0f} s of CPU")
