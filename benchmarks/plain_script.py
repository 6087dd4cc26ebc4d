"""What a script of 35 lines makes of photographs and 12 cartoons a class, at 32 px.

The layers of infaug's own default (ResNet-56, random weights), both sources, flips and
crops, AdamW and one cycle. The rest of the target domain judges, and the images are
those of `ray_jobs/photos.py` with the same seed.

    python benchmarks/plain_script.py PACS/photo.parquet PACS/cartoon.parquet --seed 0
"""

import argparse
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from torchvision.transforms import v2

from infaug.classify.network import build_classifier
from infaug.config import DataConfig
from infaug.data.dataset import to_float
from infaug.data.source import load
from infaug.randomness import generator

parser = argparse.ArgumentParser()
parser.add_argument("source", type=Path)
parser.add_argument("target", type=Path)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=60)
args = parser.parse_args()

parts = []
for path, num in ((args.source, 60), (args.target, 12)):
    whole = load(DataConfig(source=str(path), image_size=32)).train
    order = torch.randperm(len(whole), generator=generator(args.seed, path.stem))
    of_each = [order[whole.labels[order] == k] for k in range(whole.num_classes)]
    parts.append(whole.select(torch.cat([at[:num] for at in of_each])))
    rest = whole.select(torch.cat([at[num:] for at in of_each]))

began, train = time.monotonic(), parts[0] + parts[1]
torch.manual_seed(args.seed)
model = build_classifier("resnet56", 3, train.num_classes, args.seed)
augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
steps = args.epochs * (len(train) // 32)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
for _ in range(steps):
    at = torch.randint(len(train), (32,))
    x = torch.stack([augment(image) for image in train.images[at]])
    F.cross_entropy(model.train()(to_float(x)), train.labels[at]).backward()
    optimizer.step()
    optimizer.zero_grad()
    cycle.step()
with torch.no_grad():
    likeliest = model.eval()(to_float(rest.images)).argmax(dim=1)
accuracy = 100 * (likeliest == rest.labels).float().mean()
print(f"{accuracy:.1f} % of {len(rest)} in {time.monotonic() - began:.0f} s")
