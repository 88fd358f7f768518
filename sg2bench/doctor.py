"""Check what works for sg2bench on this machine, what would fail, and how to fix it."""

from __future__ import annotations

import os
import platform
import queue
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from sg2bench import packages
from sg2bench.files import cache_folder, offline
from sg2bench.version import __version__

if TYPE_CHECKING:
    from sg2bench.weights import Weights

State = Literal["ok", "note", "fails"]
SECONDS = 7.0
"""Time limit for all answers of servers together."""
_SILENT = 3.0
"""Seconds to wait for a server."""
_LIBRARIES = ("torch", "torchvision", "numpy", "pandas", "matplotlib")
_Said: TypeAlias = "queue.SimpleQueue[tuple[str, str]]"
Answers = Mapping[str, str]
"""Problem of each place that was asked, by name; empty if it answers."""


@dataclass(frozen=True)
class Finding:
    """Result of one check: `fails` if something will not work, `note` if few commands need it; and what to do."""

    state: State
    subject: str
    said: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Check versions, device, folders, weights, and the places that these come from, all in parallel.

    Waits at most SECONDS for answers. Downloads nothing, and leaves no file.
    """
    end = time.monotonic() + SECONDS
    places = _places()
    said = _ask(places)
    local = [*_versions(), *_device(), *_folders()]
    answers = _answers(places, said, end)
    return [*local, *_weights(answers), *_reachable(answers), *_image_sets(answers)]


def _versions() -> Iterator[Finding]:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    yield Finding("ok", "versions", f"sg2bench {__version__}, Python {platform.python_version()}, {libraries}")
    yield Finding("ok", "platform", f"{platform.platform()}, {sys.executable}")


def _device() -> Iterator[Finding]:
    import torch  # noqa: PLC0415 (seconds)

    from sg2bench import devices  # noqa: PLC0415

    chosen = devices.device("auto")
    threads = f"{devices.cores()} cores, {torch.get_num_threads()} torch threads"
    if limit := os.environ.get("OMP_NUM_THREADS"):
        threads += f" (OMP_NUM_THREADS={limit})"
    yield Finding("ok", "device", f"{devices.full_name(chosen)}; {threads}")
    if chosen.type == "cpu" and torch.version.cuda and shutil.which("nvidia-smi"):
        yield Finding(
            "note",
            "GPU",
            "nvidia-smi is installed, but torch sees no GPU",
            f"install a driver for CUDA {torch.version.cuda}",
        )
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Finding("ok" if free > 1 else "note", "disk", f"{free:.1f} GiB free in {Path.cwd()}")


def _folders() -> Iterator[Finding]:
    remedies = {
        cache_folder(): "set SG2BENCH_CACHE to a writable folder",
        Path.cwd(): "change to a writable folder, or give --runs and --out",
    }
    for folder, remedy in remedies.items():
        name = "cache" if folder == cache_folder() else "folder"
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            yield Finding("fails", name, f"{folder}: not writable ({error.strerror})", remedy)
        else:
            yield Finding(
                "ok", name, f"{folder}: {'writable' if existing == folder else 'will be created when needed'}"
            )


def _weights(answers: Answers) -> Iterator[Finding]:
    from sg2bench import weights  # noqa: PLC0415 (torch, seconds)

    for name, file in weights.ALL.items():
        subject, by_index = f"weights {name}", file.package is not None
        try:
            path = weights.verify(file)
        except (ValueError, OSError) as error:
            yield Finding("fails", subject, str(error), "remove the file, then `sg2bench weights fetch`")
            continue
        protocols, metrics = _users(file)
        needed = f"needed by protocol {', '.join(protocols)}" if protocols else f"needed by {', '.join(metrics)}"
        source = "Python index" if by_index else f"publisher of {name}"
        if path is not None:
            yield Finding("ok", subject, f"{path}")
        elif not answers.get(source, "was not asked"):
            yield Finding("ok", subject, f"{file.file} is missing; it will be downloaded when needed")
        else:
            state: State = "fails" if by_index and protocols else "note"
            yield Finding(
                state, subject, f"{file.file} is missing and cannot be downloaded; {needed}", weights.remedy(file)
            )


def _users(file: Weights) -> tuple[list[str], list[str]]:
    """Return the protocols whose default metrics need these weights, and all metrics that do."""
    from sg2bench.catalog import METRICS, PROTOCOLS, default_metrics  # noqa: PLC0415
    from sg2bench.evaluation.extractors import EXTRACTORS  # noqa: PLC0415 (torch, seconds)

    networks = {name for name, network in EXTRACTORS.items() if network.weights_sha256 == file.sha256}
    return [
        protocol
        for protocol in PROTOCOLS
        if any(METRICS[name].extractor[protocol] in networks for name in default_metrics(protocol))
    ], [name for name, metric in METRICS.items() if networks.intersection(metric.extractor.values())]


def _reachable(answers: Answers) -> Iterator[Finding]:
    if offline():
        yield Finding("note", "internet", "SG2BENCH_OFFLINE is set: nothing is downloaded, and no server was asked")
    for name, problem in answers.items():
        yield Finding("note" if problem else "ok", name, problem or "answers")


def _image_sets(answers: Answers) -> Iterator[Finding]:
    from sg2bench.data import emoji, glyphs  # noqa: PLC0415 (torch, seconds)
    from sg2bench.data.tarballs import LICENSES  # noqa: PLC0415

    for name, module in (("emoji", emoji), ("glyphs", glyphs)):
        if (module.default_folder() / LICENSES).is_file():
            yield Finding("ok", f"images {name}", f"{module.default_folder()}")
        elif answers.get("npm registry", "was not asked"):
            remedy = f"download the tarballs elsewhere, then `sg2bench data fetch {name} --tarballs DIR`"
            yield Finding("note", f"images {name}", "missing, and cannot be downloaded", remedy)
        else:
            yield Finding("note", f"images {name}", "missing", f"download them with `sg2bench data fetch {name}`")
    yield Finding("ok", "images critters", "drawn on the fly, nothing to download")


def _places() -> dict[str, Callable[[], str]]:
    """Return a function per place, by name, that asks it and returns the problem, or nothing."""
    from sg2bench import weights  # noqa: PLC0415 (torch, seconds)
    from sg2bench.data import emoji  # noqa: PLC0415

    if offline():
        return {}
    of_index = next(file.package for file in weights.ALL.values() if file.package is not None)
    places: dict[str, Callable[[], str]] = {
        "Python index": lambda: packages.index_problem(of_index.requirement.partition("==")[0], _SILENT),
        "npm registry": lambda: packages.npm_problem(emoji.VENDORS[0].package.rpartition("@")[0], _SILENT),
    }
    for name, file in weights.ALL.items():
        if file.url is not None:
            places[f"publisher of {name}"] = lambda url=file.url: _url_problem(url())  # type: ignore[misc]
    return places


def _url_problem(url: str) -> str:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_SILENT):
            return ""
    except OSError as error:
        return f"no answer from {urlsplit(url).hostname} ({getattr(error, 'reason', error)})"


def _ask(places: Mapping[str, Callable[[], str]]) -> _Said:
    """Ask all places in parallel, each in a thread that is not waited for."""
    said: _Said = queue.SimpleQueue()

    def ask(name: str, question: Callable[[], str]) -> None:
        try:
            said.put((name, question()))
        except Exception as error:  # whatever a client raises is the problem
            said.put((name, " ".join(str(error).split()) or type(error).__name__))

    for name, question in places.items():
        threading.Thread(target=ask, args=(name, question), daemon=True).start()
    return said


def _answers(places: Iterable[str], said: _Said, end: float) -> dict[str, str]:
    """Return the answers that arrive before `end`."""
    found = dict.fromkeys(places, "no answer in time")
    with suppress(queue.Empty):
        for _ in range(len(found)):
            name, problem = said.get(timeout=max(0.0, end - time.monotonic()))
            found[name] = problem
    return found
