"""The residual networks of He et al. (2016) for 32x32 images, without their head."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a parameter-free shortcut (option A)."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.extra = width - width_in

    def forward(self, x: Float[Tensor, "B Ci H W"]) -> Float[Tensor, "B Co Ho Wo"]:
        """Block output; the shortcut skips pixels and pads channels with zeros."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = F.pad(shortcut, (0, 0, 0, 0, self.extra // 2, -(-self.extra // 2)))
        return F.relu(out + shortcut)


class CifarResNet(nn.Module):
    """6n + 2 layers: three stages of n blocks with 16, 32 and 64 channels.

    `depth=56` is the ResNet-56 of He et al. (2016), section 4.2, that the papers train
    on CIFAR. The linear head is not included.
    """

    num_features = 64

    def __init__(self, channels: int, *, depth: int = 56):
        super().__init__()
        assert (depth - 2) % 6 == 0, "depth must be 6n + 2"
        blocks = []
        width_in = 16
        for width, first_stride in ((16, 1), (32, 2), (64, 2)):
            for index in range((depth - 2) // 6):
                stride = first_stride if index == 0 else 1
                blocks.append(BasicBlock(width_in, width, stride))
                width_in = width
        self.conv = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 64"]:
        """Features: the mean over positions of the last stage."""
        out = self.blocks(F.relu(self.bn(self.conv(x))))
        return out.mean(dim=(2, 3))
