"""The face-alignment network, which locates facial features, and the two masks of the high-pass skip.

The network is the single hourglass of Wang et al., *Adaptive Wing Loss for Robust Face Alignment* (ICCV 2019), with
coordinate channels. The masks are StarGAN v2's (appendix: high-pass skip connections for faces).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LANDMARKS = 98
_SIDE = 256


class _CoordConv(nn.Module):
    """A convolution that also sees each pixel's row, column and radius (over its maximum), from -1 to 1."""

    def __init__(self, dim_in: int, dim_out: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim_in + 3, dim_out, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        row = torch.linspace(-1, 1, height, dtype=torch.float64, device=x.device)[:, None].expand(height, width)
        column = torch.linspace(-1, 1, width, dtype=torch.float64, device=x.device).expand(height, width)
        radius = (row.square() + column.square()).sqrt()
        planes = torch.stack([row, column, radius / radius.max()]).to(x.dtype)
        convolved: Tensor = self.conv(torch.cat([x, planes.expand(n, -1, -1, -1)], 1))
        return convolved


class _ConvBlock(nn.Module):
    """Three pre-activated 3x3 convolutions, outputs concatenated (1/2, 1/4, 1/4 of the width), plus shortcut."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        half, quarter = dim_out // 2, dim_out // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(dim_in), nn.Conv2d(dim_in, half, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.downsample = (
            nn.Sequential(nn.BatchNorm2d(dim_in), nn.ReLU(), nn.Conv2d(dim_in, dim_out, 1, bias=False))
            if dim_in != dim_out
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv1(F.relu(self.bn1(x)))
        two = self.conv2(F.relu(self.bn2(one)))
        three = self.conv3(F.relu(self.bn3(two)))
        out: Tensor = torch.cat([one, two, three], 1) + self.downsample(x)
        return out


class _Hourglass(nn.Module):
    """Four downsamplings and four upsamplings by 2, with a skip at each size."""

    DEPTH = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.coordconv = _CoordConv(width, width, 1)
        for level in range(self.DEPTH, 0, -1):
            self.add_module(f"b1_{level}", _ConvBlock(width, width))
            self.add_module(f"b2_{level}", _ConvBlock(width, width))
        self.b2_plus_1 = _ConvBlock(width, width)
        for level in range(1, self.DEPTH + 1):
            self.add_module(f"b3_{level}", _ConvBlock(width, width))

    def _level(self, level: int, x: Tensor) -> Tensor:
        skip = self.get_submodule(f"b1_{level}")(x)
        low = self.get_submodule(f"b2_{level}")(F.avg_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        low = self.get_submodule(f"b3_{level}")(low)
        out: Tensor = skip + F.interpolate(low, scale_factor=2, mode="nearest")
        return out

    def forward(self, x: Tensor) -> Tensor:
        return self._level(self.DEPTH, self.coordconv(x))


class FaceAlignment(nn.Module):
    """Face-alignment network: (N, 3, 256, 256) in [0, 1] -> heat maps of 98 landmarks and boundaries, (N, 99, 64, 64).

    It is pretrained, so it is always in evaluation mode and its weights have no gradients. Its parameter names are
    those of the published files.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _CoordConv(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = _ConvBlock(64, 128)
        self.conv3 = _ConvBlock(128, 128)
        self.conv4 = _ConvBlock(128, 256)
        self.m0 = _Hourglass(256)
        self.top_m_0 = _ConvBlock(256, 256)
        self.conv_last0 = nn.Conv2d(256, 256, 1)
        self.bn_end0 = nn.BatchNorm2d(256)
        self.l0 = nn.Conv2d(256, LANDMARKS + 1, 1)
        self.train(False).requires_grad_(False)

    def train(self, mode: bool = True) -> FaceAlignment:
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(image)))
        x = F.avg_pool2d(self.conv2(x), 2)
        x = self.top_m_0(self.m0(self.conv4(self.conv3(x))))
        heat: Tensor = self.l0(F.relu(self.bn_end0(self.conv_last0(x))))
        return heat


@torch.no_grad()
def masks(face_alignment: FaceAlignment, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return masks 0 and 1, each (N, 1, 256, 256) in [0, 1], of images (N, 3, S, S) in [-1, 1], without gradient."""
    x = F.interpolate(image, size=_SIDE, mode="bilinear", align_corners=False)
    heat = face_alignment(x * 0.5 + 0.5)[:, :LANDMARKS]
    return from_heat(F.interpolate(heat, size=_SIDE, mode="bilinear", align_corners=True))


_MOVED = (  # landmarks, rows down (negative: up), power
    (range(8, 25), 0, 3),  # chin
    (range(33, 51), 7, 2),  # brows
    (range(55, 60), -8, 4),  # nostrils
    (range(77, 82), 8, 4),  # upper lip
    (range(83, 88), -8, 4),  # lower lip
    (range(88, 96), 2, 3),  # inner lip
)
_DROPPED = (*range(8), *range(25, 34), 46, 76, 82)
_NOSE, _EYES = slice(52, 55), slice(60, 76)
_NOT_IN_MASK_1 = (*range(8, 25), *range(33, 51), *range(76, 96))


def from_heat(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Turn heat maps of landmarks (N, 98, H, W) into mask 0 (whole face) and mask 1 (eyes and nose), (N, 1, H, W)."""
    heat = heat.where(heat >= 0.1, 0)
    low, high = heat.amin((2, 3), keepdim=True), heat.amax((2, 3), keepdim=True)
    heat = (heat - low) / (high - low + 1e-6)
    for landmarks, rows, power in _MOVED:
        part = slice(landmarks.start, landmarks.stop)
        heat[:, part] = heat[:, part].roll(rows, 2) ** power
    heat[:, _DROPPED] = 0
    heat[:, _NOSE] = heat[:, _NOSE].roll(-4, 2)
    heat[:, _EYES] = heat[:, _EYES].roll(8, 2) ** 3 + heat[:, _EYES].roll(24, 2)
    whole = heat.sum(1, keepdim=True)
    heat[:, _NOT_IN_MASK_1] = 0
    return whole.clamp(0, 1), heat.sum(1, keepdim=True).clamp(0, 1)
