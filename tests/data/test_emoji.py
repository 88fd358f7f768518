from __future__ import annotations

import dataclasses
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from sg2bench.config import Data
from sg2bench.data import emoji, images, sets
from sg2bench.files import sha256

BASES = [f"1f6{index:02x}" for index in range(40)]


def picture(colour, kind="png"):
    buffer = io.BytesIO()
    Image.new("RGBA", (72, 72), colour).save(buffer, kind, **({"lossless": True} if kind == "webp" else {}))
    return buffer.getvalue()


@pytest.fixture
def tarballs(tmp_path, monkeypatch):
    """Small archives of the real form: 40 emoji, one with a skin tone; noto alone has one more."""
    listing = [{"image": f"{code}.png"} for code in BASES]
    listing[0] = {"image": f"{BASES[0]}-fe0f.png", "skin_variations": {"1F3FB": {"image": f"{BASES[0]}-1f3fb.png"}}}
    listing.append({"image": "a9-fe0f.png"})
    vendors = []
    for vendor in emoji.VENDORS:
        kind = "webp" if vendor.domain == "fluent" else "png"
        names = [entry["image"] for entry in listing[:-1]] + [f"{BASES[0]}-1f3fb.png"]
        names += ["a9-fe0f.png"] * (vendor.domain == "noto")
        with tarfile.open(tmp_path / vendor.tarball, "w:gz") as archive:
            members = {vendor.images + name.replace("png", kind): picture((255, 0, 0, 255), kind) for name in names}
            for name, content in {"package/emoji.json": json.dumps(listing).encode(), **members}.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        vendors.append(dataclasses.replace(vendor, sha256=sha256(tmp_path / vendor.tarball)))
    monkeypatch.setattr(emoji, "VENDORS", tuple(vendors))
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*of the validation images are also training images", "ignore:.* use little of the")
def test_layout(tarballs, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    target = tmp_path / "emoji"
    emoji.fetch(target, tarballs)
    found = sets.load(Data(source="emoji", root=target), 32)
    assert found.domains == ("fluent", "noto", "twemoji")
    for split in images.SPLITS:
        assert len({found.names[split][domain] for domain in found.domains}) == 1
    train, val = (set(found.names[split]["noto"]) for split in images.SPLITS)
    assert train & val == set()
    assert len(train | val) == len(BASES) + 1
    assert 0 < len(val) < 12
    assert (f"{BASES[0]}.png" in train) == (f"{BASES[0]}-1f3fb.png" in train)
    assert found.image("train", "fluent", 0).size == (64, 64)
    assert np.asarray(found.image("train", "fluent", 0))[32, 32].tolist() == [255, 0, 0]
    code = found.names["val"]["noto"].index(min(val))
    assert found.truth("noto", code, "fluent", 0) == found.image("val", "fluent", code)
    licenses = (target / "LICENSES.txt").read_text()
    assert all(vendor.license in licenses and vendor.package in licenses for vendor in emoji.VENDORS)


def test_a_damaged_tarball_leaves_nothing_behind(tarballs, tmp_path):
    with (tarballs / emoji.VENDORS[1].tarball).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"emoji-datasource-google-16\.0\.0\.tgz: sha256 is .*, expected"):
        emoji.fetch(tmp_path / "emoji", tarballs)
    assert not list(tmp_path.glob("emoji*/"))
    assert not list(tmp_path.glob(".tmp*"))


def test_a_missing_tarball_is_named(tarballs, tmp_path):
    (tarballs / emoji.VENDORS[2].tarball).unlink()
    with pytest.raises(
        ValueError, match=r"twitter-16\.0\.0\.tgz: missing; `npm pack emoji-datasource-twitter@16\.0\.0`"
    ):
        emoji.fetch(tmp_path / "emoji", tarballs)


def test_without_the_images_the_error_says_how_to_fetch_them(tmp_path):
    with pytest.raises(ValueError, match="fetch them with `sg2bench data fetch emoji`"):
        sets.load(Data(source="emoji", root=tmp_path), 32)


def test_offline_is_an_error_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    with pytest.raises(ValueError, match="SG2BENCH_OFFLINE is set; give the tarballs"):
        emoji.fetch(tmp_path / "emoji")
