"""Image sets made from packages of the npm registry: pinned tarballs, and the folder filled from them."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sg2bench.files import atomic_folder, offline, sha256
from sg2bench.packages import npm_pack
from sg2bench.progress import track

LICENSES = "LICENSES.txt"
"""Name of the file written last into a fetched set, with one line per package."""


@dataclass(frozen=True)
class Package:
    """A package with its version, as `npm pack` takes it, and the SHA-256 of its tarball."""

    package: str
    sha256: str

    @property
    def tarball(self) -> str:
        """File name that `npm pack` gives the package."""
        name, _, version = self.package.rpartition("@")
        return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def fetched(place: Path, name: str) -> Path:
    """Return the folder of a fetched set. If it is missing, raises ValueError with the command that fetches it."""
    if not (place / LICENSES).is_file():
        raise ValueError(f"{place}: the {name} are missing; fetch them with `sg2bench data fetch {name}`")
    return place


@contextmanager
def new_set(
    target: Path, packages: Sequence[Package], given: Path | None, megabytes: int
) -> Iterator[tuple[Path, list[tarfile.TarFile]]]:
    """Yield a folder to fill, which becomes `target` if the block succeeds, and the archives of `packages` in order.

    Tarballs are taken from the folder `given`, or downloaded with npm; their SHA-256 is checked either way.
    Nothing is left behind on failure. Raises ValueError that says what to do.
    """
    if target.exists():
        raise ValueError(f"{target}: already exists; remove it to fetch the images again")
    if given is None and offline():
        raise ValueError("SG2BENCH_OFFLINE is set; give the tarballs with --tarballs DIR")
    with ExitStack() as stack:
        work = stack.enter_context(atomic_folder(target))
        source = given or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if given is None:
            for package in track(packages, f"downloading {len(packages)} packages, {megabytes} MB"):
                npm_pack(package.package, source)
        yield work, [stack.enter_context(tarfile.open(_checked(source, package))) for package in packages]


def _checked(folder: Path, package: Package) -> Path:
    path, how = folder / package.tarball, f"`npm pack {package.package}`"
    if not path.is_file():
        raise ValueError(f"{path}: missing; {how} downloads it (sha256 {package.sha256})")
    if (found := sha256(path)) != package.sha256:
        raise ValueError(f"{path}: sha256 is {found}, expected {package.sha256}; download it again ({how})")
    return path
