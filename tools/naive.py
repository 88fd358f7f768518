"""A naive implementation with the published order of operations and the same networks: the baseline of our speed-ups.

* LPIPS goes pair by pair, and both outputs of a pair pass through the network each time.
* A Fréchet distance takes the matrix square root of the covariances' product.
* An evaluation encodes a source again for every output, writes fakes as PNG files and reads them back, and computes the
  statistics of real images for every pair of domains.
* Training generates every fake from its source again, even for the discriminator, computes gradients of networks that
  are not updated, and copies each loss term to the host.

The networks have the same weights, but their layers are torch's plain ones (`plain_layers`).
"""

from __future__ import annotations

import itertools
import math
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from sg2bench.evaluation.extractors import AlexNet, Features
from sg2bench.evaluation.extractors.base import IMAGENET_MEAN, IMAGENET_STD, channel_constant
from sg2bench.evaluation.guidance import guide
from sg2bench.evaluation.outputs import style_codes, to_float, to_uint8
from sg2bench.models import blocks, networks
from sg2bench.models.convolution import Conv2d
from sg2bench.training import losses
from sg2bench.training.state import State


@contextmanager
def plain_layers():
    """Use torch's functions for convolution, norm, pooling, upsampling and activation, in the published order.

    Scale and shift come after the norm, convolutions before pooling and after upsampling. The heads of all domains are
    computed, also of those absent from a batch.
    """

    def adain(self, x, style):
        gamma, beta = self.fc(style)[:, :, None, None].chunk(2, 1)
        return (1 + gamma) * F.instance_norm(x) + beta

    def norm(self, x):
        return F.instance_norm(x, weight=self.weight, bias=self.bias)

    def avg_pool2(x):
        return F.avg_pool2d(x, 2)

    def double(x):
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def down(self, x):
        shortcut = self.conv1x1(x) if self.learned_shortcut else x
        shortcut = avg_pool2(shortcut) if self.downsample else shortcut
        return (self._residual(x) + shortcut) / math.sqrt(2)

    def up(self, x, style):
        hidden = F.leaky_relu(self.norm1(x, style), blocks.SLOPE)
        hidden = self.conv1(double(hidden) if self.upsample else hidden)
        residual = self.conv2(F.leaky_relu(self.norm2(hidden, style), blocks.SLOPE))
        if self.high_pass:
            return residual
        shortcut = double(x) if self.upsample else x
        return (residual + (self.conv1x1(shortcut) if self.learned_shortcut else shortcut)) / math.sqrt(2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conv2d, "forward", nn.Conv2d.forward)
        patch.setattr(blocks, "activate", lambda x, inplace=False: F.leaky_relu(x, blocks.SLOPE))
        patch.setattr(blocks, "conv_avg_pool2", lambda conv, x: avg_pool2(conv(x)))
        patch.setattr(blocks.AdaIN, "forward", adain)
        patch.setattr(blocks.ResBlock, "forward", down)
        patch.setattr(blocks.AdaINResBlock, "forward", up)
        patch.setattr(blocks.InstanceNorm, "forward", norm)
        patch.setattr(nn.LeakyReLU, "forward", lambda self, x: F.leaky_relu(x, self.negative_slope))
        patch.setattr(networks, "_select", select)
        yield


class PlainAlexNet(AlexNet):
    """AlexNet in the published order: torch's resize, scaling step by step, one memory format."""

    def __init__(self, resize):
        super().__init__(resize)
        self.to(memory_format=torch.contiguous_format)

    def forward(self, images):
        x, side = images.float(), self.resize
        if side is not None and x.shape[-2:] != (side, side):
            x = F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
        mean, std = (channel_constant(values).to(x.device) for values in (IMAGENET_MEAN, IMAGENET_STD))
        x = (x / 255 - mean) / std
        layers = []
        for name, convolution in self.features.items():
            if name in ("3", "6"):
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            layers.append(x)
        return Features(x.mean((2, 3)), tuple(layers))


def lpips(network, outputs):
    """Return LPIPS averaged over pairs of outputs, uint8 (outputs, sources, 3, H, W), and over sources."""
    values = []
    for one, other in itertools.combinations(outputs, 2):
        value = 0.0
        for *layers, head in zip(network(one).layers, network(other).layers, network.heads, strict=True):
            a, b = (layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers)
            value += ((a - b).square() * head[:, None, None]).sum(1).mean().item()
        values.append(value)
    return float(np.mean(values))


def moments(features):
    """Return mean and covariance of features (n, d)."""
    return features.mean(0), np.cov(features, rowvar=False)


def frechet(real, fake):
    """Return the Fréchet distance between two pairs of moments."""
    means, covariances = zip(real, fake, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about singular matrices
        root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.square(means[0] - means[1]).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)


@plain_layers()
def evaluation(evaluate, nets, found, folder, side):
    """Return values by pair, (fd_alexnet, lpips), computed in batches of 32, for at most 32 sources."""
    device, values = next(nets.parameters()).device, {}
    network = PlainAlexNet(resize=64).to(device)
    for (source, target), guidance in guide(found, evaluate, "latent", nets.latent_dim).items():
        styles, outputs, paths = style_codes(nets, found, guidance, target, 32, side), [], []
        for k in range(styles.shape[1]):
            sources = found.batch("val", source, guidance.sources, side).to(device)
            outputs.append(to_uint8(nets.generator(to_float(sources), styles[:, k])))
            for index, image in zip(guidance.sources, outputs[-1].cpu(), strict=True):
                paths.append(folder / f"{source}2{target}_{index}_{k}.png")
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(paths[-1])
        fakes, real = [], []
        for start in range(0, len(paths), 32):
            arrays = [np.array(Image.open(path)) for path in paths[start : start + 32]]
            fakes.append(network(torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).to(device)).pooled)
        for some in torch.arange(found.count("train", target)).split(32):
            real.append(network(found.batch("train", target, some.tolist(), side).to(device)).pooled)
        distance = frechet(*(moments(torch.cat(features).double().cpu().numpy()) for features in (real, fakes)))
        values[source, target] = distance, lpips(network, outputs)
    return values


def select(heads, shared, domain):
    """Apply to each sample the head of its domain, computing all heads."""
    outputs = torch.stack([head(shared) for head in heads], 1)
    return outputs[torch.arange(len(domain)), domain]


def training_state(experiment, num_domains, device="cpu"):
    """Create a training state with torch's plain optimisers."""
    state = State(experiment, num_domains, device)
    for name, optimizer in state.optimizers.items():
        settings = {key: optimizer.defaults[key] for key in ("lr", "betas", "weight_decay")}
        (group,) = optimizer.param_groups
        state.optimizers[name] = torch.optim.Adam(group["params"], **settings, foreach=False, fused=False)
    return state


@plain_layers()
def train_step(state, batch, loss, ds_weight, ema_decay):
    """Train one step like `sg2bench.training.step.train_step`; return the terms as numbers."""
    nets, terms = state.nets, {}

    def note(phase, **values):
        terms.update({f"{phase}/{name}": value.item() for name, value in values.items()})

    for phase, reference in (("d_latent", None), ("d_reference", batch.reference)):
        real = batch.source.detach().requires_grad_()
        logits = state.discriminator(real, batch.source_domain)
        on_real, penalty = losses.adversarial(logits, True), losses.r1(logits, real)
        with torch.no_grad():
            fake = nets.generator(batch.source, _style(nets, batch, batch.latent, reference))
        on_fake = losses.adversarial(state.discriminator(fake, batch.target_domain), False)
        _step(state, on_real + on_fake + loss.r1 * penalty, "discriminator")
        note(phase, real=on_real, fake=on_fake, r1=penalty)

    for phase, references in (("g_latent", (None, None)), ("g_reference", (batch.reference, batch.reference2))):
        style = _style(nets, batch, batch.latent, references[0])
        fake = nets.generator(batch.source, style)
        adv = losses.adversarial(state.discriminator(fake, batch.target_domain), True)
        sty = losses.l1(nets.style_encoder(fake, batch.target_domain), style)
        style2 = _style(nets, batch, batch.latent2, references[1])
        ds = losses.l1(fake, nets.generator(batch.source, style2).detach())
        own = nets.style_encoder(batch.source, batch.source_domain)
        cyc = losses.l1(nets.generator(fake, own), batch.source)
        total = loss.adv * adv + loss.sty * sty - ds_weight * ds + loss.cyc * cyc
        _step(state, total, *(nets.trained() if references[0] is None else ["generator"]))
        note(phase, adv=adv, sty=sty, ds=ds, cyc=cyc)

    with torch.no_grad():
        for average, current in zip(state.ema.parameters(), nets.parameters(), strict=True):
            average.copy_(torch.lerp(current, average, ema_decay))
    return terms


def _style(nets, batch, latent, reference):
    if reference is None:
        return nets.mapping_network(latent, batch.target_domain)
    return nets.style_encoder(reference, batch.target_domain)


def _step(state, total, *names):
    for optimizer in state.optimizers.values():
        optimizer.zero_grad()
    total.backward()
    for name in names:
        state.optimizers[name].step()
