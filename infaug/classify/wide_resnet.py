"""The wide residual networks of Zagoruyko and Komodakis (2016), without their head."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PreActivationBlock(nn.Module):
    """BatchNorm and ReLU before each of two 3x3 convolutions, around a shortcut.

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input.
    No dropout: F must be deterministic behind a Hessian.
    """

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or width_in != width:
            self.shortcut = nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Float[Tensor, "B Ci H W"]) -> Float[Tensor, "B Co Ho Wo"]:
        """Block output, not activated."""
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """WRN-28-10: three stages of 4 blocks with 160, 320 and 640 channels.

    With a head of ten classes it has 36.5 million parameters (their Table 4). The
    linear head is not included.
    """

    num_features = 640

    def __init__(self, channels: int):
        super().__init__()
        blocks = []
        width_in = 16
        for width, first_stride in ((160, 1), (320, 2), (640, 2)):
            for index in range(4):
                stride = first_stride if index == 0 else 1
                blocks.append(PreActivationBlock(width_in, width, stride))
                width_in = width
        self.conv = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(self.num_features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 640"]:
        """Features: the mean over positions of the last stage, activated."""
        return F.relu(self.bn(self.blocks(self.conv(x)))).mean(dim=(2, 3))
