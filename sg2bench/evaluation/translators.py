"""Translators: the user's own model as a function from images and guidance to images."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sg2bench import tensor_files
from sg2bench.evaluation.evaluator import Evaluator, Progress
from sg2bench.evaluation.guidance import Guidance, guide
from sg2bench.evaluation.outputs import to_float
from sg2bench.evaluation.values import Value, means

Translator = Callable[..., Tensor]
"""A function `translate(images, target, latents=…, references=…) -> images`, called for N outputs at once.

`images` are the sources, float32 (N, 3, S, S), black -1, white 1. `target` is the name of the target domain. Guidance
is either `latents`, float32 (N, latent_dim), standard normal, or `references`, of the same form as `images`; the other
is None. The result is float32 of the same form as `images`, or uint8.
"""
_LARGEST, _DARK = 2, -0.1
"""Generators overshoot [-1, 1] a little. Floats beyond 2, or with nothing darker than -0.1, are on another scale."""


def load(translator: str | Translator) -> Translator:
    """Return a callable, or import the one named `module:callable`, also from the working folder.

    Raises ValueError if it cannot be imported or called.
    """
    if not isinstance(translator, str):
        return translator
    name = translator
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"--translator {name}: expected module:callable")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    if "/" in module or module.endswith(".py") or attribute.endswith(".py"):
        raise ValueError(f"--translator {name}: give the module's name, without a path or .py, as `import` takes it")
    try:
        with _undisturbed():
            found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise ValueError(f"--translator {name}: {_error_line(error)}") from error
    if not callable(found):
        raise ValueError(f"--translator {name}: is a {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Restore what a user's code may change for the whole process: working folder, torch's default type and device."""
    folder, dtype, device = Path.cwd(), torch.get_default_dtype(), torch.get_default_device()
    try:
        yield
    finally:
        os.chdir(folder)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


def score(
    evaluator: Evaluator, translator: Translator, latent_dim: int, progress: Progress = lambda _: None
) -> list[Value]:
    """Measure a user's model, every pair in every mode.

    Raises ValueError for outputs that break the contract of `Translator`, and for any exception of the function.
    """
    values = []
    for mode in evaluator.evaluate.modes:
        for (source, target), given in guide(evaluator.images, evaluator.evaluate, mode, latent_dim).items():
            progress(f"{mode} {source} → {target}")
            outputs = checked(_translated(evaluator, translator, source, target, given), f"{source} → {target}")
            number = evaluator.evaluate.outputs_per_source
            values += evaluator.pair(mode, source, target, outputs, given.sources, number, given.references)
    return values + means(values)


@torch.inference_mode()
def _translated(
    evaluator: Evaluator, translator: Translator, source: str, target: str, guidance: Guidance
) -> Iterator[Tensor]:
    images, side, device = evaluator.images, evaluator.image_size, evaluator.device
    outputs = evaluator.evaluate.outputs_per_source
    step = max(1, evaluator.images_per_batch // outputs)
    for start in range(0, len(guidance.sources), step):
        some = slice(start, start + step)
        sources = to_float(images.batch("val", source, guidance.sources[some].tolist(), side).to(device))
        given: dict[str, Tensor | None] = {"latents": None, "references": None}
        if guidance.latents is not None:
            given["latents"] = torch.from_numpy(guidance.latents[some]).flatten(0, 1).to(device)
        if guidance.references is not None:
            chosen = guidance.references[some].flatten().tolist()
            given["references"] = to_float(images.batch("val", target, chosen, side).to(device))
        wanted = sources.repeat_interleave(outputs, 0)
        try:
            with _undisturbed():
                made = translator(wanted, target, **given)
        except (Exception, SystemExit) as error:
            raise ValueError(f"translator, {source} → {target}: {_error_line(error)}") from error
        if isinstance(made, Tensor) and (odd := tensor_files.oddity(made)):
            raise ValueError(f"translator, {source} → {target}: the result {odd}; return an array of numbers")
        if not isinstance(made, Tensor) or made.shape != wanted.shape:
            found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise ValueError(
                f"translator, {source} → {target}: expected a tensor of shape {tuple(wanted.shape)}, got {found}"
            )
        yield made.to(device)


def checked(batches: Iterable[Tensor], pair: str) -> Iterator[Tensor]:
    """Pass on a pair's images, checking that they are uint8, or floats with black -1 and white 1.

    Raises ValueError for another dtype, or for a range that implies another scale ([0, 1], [0, 255]).
    """
    low, high, dtype = np.inf, -np.inf, None
    for batch in batches:
        dtype = batch.dtype
        if dtype != torch.uint8 and dtype not in tensor_files.FLOATS:
            raise ValueError(f"{pair}: images are {dtype}; give uint8 (0 to 255) or floats (-1 to 1)")
        low, high = min(low, float(batch.min())), max(high, float(batch.max()))
        if dtype != torch.uint8 and max(-low, high) > _LARGEST:
            raise ValueError(
                f"{pair}: floats range from {low:g} to {high:g}; scale images to black -1, white 1, and clamp if needed"
            )
        yield batch if dtype == torch.uint8 else batch.float()
    if dtype == torch.uint8 and high <= 1:
        raise ValueError(f"{pair}: no 8-bit pixel exceeds {high:g}; were floats cast to integers? White is 255")
    if dtype != torch.uint8 and low > _DARK:
        raise ValueError(
            f"{pair}: no pixel is below {low:g}, so 0 seems to be black; scale images to black -1, white 1"
        )


def _error_line(error: BaseException) -> str:
    """Return in one line what was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({frames[-1].filename}:{frames[-1].lineno})"
