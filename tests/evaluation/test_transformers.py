from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench import weights
from sg2bench.evaluation.extractors.transformers import ClipViTL14, DINOv2ViTL14, positions


def formula(shapes):
    """Weights that any library can be given: sines of the position, of a size that keeps activations in range."""
    state = {}
    for index, (key, shape) in enumerate(sorted(shapes.items())):
        values = torch.sin(torch.arange(np.prod(shape), dtype=torch.float64) * 0.7 + index).reshape(shape)
        norm = "norm" in key and key.endswith("weight")
        state[key] = ((1 + 0.1 * values) if norm else 0.05 * values).float()
    return state


def images(n=1, height=32, width=32):
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def cubic(distance):
    """Keys' kernel with a = -0.75, which torch uses without antialiasing."""
    x, a = abs(distance), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def test_positions_are_interpolated_with_dinov2_s_scale():
    old, new = 37, 16
    embeddings = torch.randn(1, 1 + old**2, 2, generator=torch.Generator().manual_seed(0))
    matrix = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * old / (new + 0.1) - 0.5
        for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            matrix[row, min(max(tap, 0), old - 1)] += cubic(centre - tap)
    grid = embeddings[0, 1:].reshape(old, old, 2).numpy()
    expected = np.einsum("ia,jb,abc->ijc", matrix, matrix, grid).reshape(1, new**2, 2)
    found = positions(embeddings, new)
    np.testing.assert_allclose(found[:, 1:], expected, atol=1e-5)
    assert (found[:, 0] == embeddings[:, 0]).all()


def test_positions_of_the_same_size_are_kept():
    embeddings = torch.randn(1, 17, 3)
    assert positions(embeddings, 4) is embeddings


@pytest.mark.parametrize(("network", "library"), [(DINOv2ViTL14, "timm"), (ClipViTL14, "transformers")])
def test_a_missing_package_is_named_with_its_extra(network, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        ValueError, match=rf"not installed .*{library}.*: in a clone of sg2bench, pip install '.\[modern\]'"
    ):
        network()


OF_DINOV2 = {
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    ".attn.proj": ".attention.o_proj",
    ".attn.": ".attention.",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
    "blocks": "encoder.layer",
}
OF_CLIP = {
    "patch_embed.proj": "vision_model.embeddings.patch_embedding",
    "cls_token": "vision_model.embeddings.class_embedding",
    "pos_embed": "vision_model.embeddings.position_embedding.weight",
    "head": "visual_projection",
    "norm_pre": "vision_model.pre_layrnorm",
    ".attn.proj": ".self_attn.out_proj",
    ".attn.": ".self_attn.",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "blocks": "vision_model.encoder.layers",
}
"""Names of timm's vision transformer by those of transformers' models."""


def renamed(state, names, last):
    """Weights of timm by the names of transformers, whose queries, keys and values have a tensor each."""
    found = {}
    for key, value in state.items():
        theirs = key.replace("norm.", f"{last}.") if key.startswith("norm.") else key
        for ours, name in names.items():
            theirs = theirs.replace(ours, name)
        if ".qkv." in theirs:
            for part, one in zip("qkv", value.chunk(3), strict=True):
                found[theirs.replace(".qkv.", f".{part}_proj.")] = one
        else:
            found[theirs] = value
    return found


@pytest.mark.slow
def test_dinov2_is_that_of_a_second_library(monkeypatch):
    """Transformers, with the same weights, on images prepared by PIL."""
    timm, transformers = pytest.importorskip("timm"), pytest.importorskip("transformers")
    with torch.device("meta"):
        published = timm.create_model("vit_large_patch14_dinov2", num_classes=0, img_size=518).state_dict()
    state = formula({key: tuple(value.shape) for key, value in published.items()})
    monkeypatch.setattr(weights, "dinov2", lambda: state | {"mask_token": torch.zeros(1, 1024)})
    network = DINOv2ViTL14()
    config = transformers.Dinov2Config(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, image_size=224, patch_size=14
    )
    theirs = transformers.Dinov2Model(config).eval()
    missing, unexpected = theirs.load_state_dict(
        renamed(network.network.state_dict(), OF_DINOV2, "layernorm"), strict=False
    )
    assert (missing, unexpected) == (["embeddings.mask_token"], [])
    x = images(height=40)
    picture = Image.fromarray(x[0].permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC)
    array = (np.asarray(picture) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.inference_mode():
        ours = network(x).pooled
        expected = theirs(torch.tensor(array, dtype=torch.float32).permute(2, 0, 1)[None]).pooler_output
    assert ours.shape == (1, DINOv2ViTL14.dim)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_clip_is_that_of_a_second_library(monkeypatch):
    """Timm, with the same weights, on images resized by torch."""
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("vit_large_patch14_clip_quickgelu_336", num_classes=768).eval()
    state = formula({key: tuple(value.shape) for key, value in theirs.state_dict().items() if key != "head.bias"})
    theirs.load_state_dict(state | {"head.bias": torch.zeros(768)}, strict=True)
    published = renamed(state, OF_CLIP, "vision_model.post_layernorm")
    for part in ("class_embedding", "position_embedding.weight"):
        published[f"vision_model.embeddings.{part}"].squeeze_(0).squeeze_(0)
    monkeypatch.setattr(weights, "clip_vision", lambda: published)
    network = ClipViTL14()
    x = images()
    resized = torch.nn.functional.interpolate(x.float() / 255, (336, 336), mode="bicubic", antialias=True)
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    with torch.inference_mode():
        ours = network(x).pooled
        expected = theirs((resized - mean[:, None, None]) / std[:, None, None])
    torch.testing.assert_close(ours, expected / expected.norm(dim=1, keepdim=True), rtol=1e-5, atol=1e-5)
