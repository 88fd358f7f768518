from __future__ import annotations

import dataclasses
import io
import json
import shutil
import string
import tarfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from sg2bench.config import Data
from sg2bench.data import glyphs, images, sets, tarballs
from sg2bench.files import sha256

FONTS = Path(mpl.get_data_path(), "fonts/ttf")
VAL = {f"{case}-{letter}" for case in ("upper", "lower") for letter in "ampzt"} | {"digit-2"}
STYLES = {
    "serif": ["lora-bold", "lora-regular"],
    "sans": ["inter-bold", "inter-regular"],
    "hand": ["satisfy-regular"],
}


def members(family, font):
    yield "package/package.json", json.dumps({"license": "MIT AND OFL-1.1"}).encode()
    licence = "Apache License" if family.name == "satisfy" else "Copyright 2020 The\r\nAuthors.\r\n\r\nThis Font"
    yield "package/LICENSE_FONT", licence.encode()
    regular, bold = ((FONTS / f"{font}{weight}.ttf").read_bytes() for weight in ("", "-Bold"))
    yield "package/400Regular/X_400Regular.ttf", regular
    yield "package/400Regular_Italic/X_400Regular_Italic.ttf", b"not a font"
    if family.name != "satisfy":
        yield "package/700Bold/X_700Bold.ttf", bold


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Tarballs of the real form, with fonts that matplotlib has: one family of each domain."""
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tarballs"
    folder.mkdir()
    families = []
    for name, font in (("lora", "DejaVuSerif"), ("inter", "DejaVuSans"), ("satisfy", "DejaVuSansMono")):
        (family,) = (each for each in glyphs.FAMILIES if each.name == name)
        with tarfile.open(folder / family.tarball, "w:gz") as archive:
            for file, content in members(family, font):
                info = tarfile.TarInfo(file)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        families.append(dataclasses.replace(family, sha256=sha256(folder / family.tarball)))
    monkeypatch.setattr(glyphs, "FAMILIES", tuple(families))
    return folder


def ink(image):
    """(top, bottom, left, right) of what is dark, the ends excluded."""
    rows, columns = (np.flatnonzero(np.asarray(image)[..., 0].min(axis) < 128) for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_layout_names_and_split(given, tmp_path):
    glyphs.fetch(tmp_path / "glyphs", given)
    found = sets.load(Data(source="glyphs", root=tmp_path / "glyphs"), 32)
    assert found.domains == ("hand", "sans", "serif")
    contents = {f"{case}-{letter}" for case in ("upper", "lower") for letter in string.ascii_lowercase}
    contents |= {f"digit-{digit}" for digit in string.digits}
    for domain in found.domains:
        for split, of_split in (("train", contents - VAL), ("val", VAL)):
            expected = {f"{content}__{style}.png" for content in of_split for style in STYLES[domain]}
            assert set(found.names[split][domain]) == expected
            assert len({name.casefold() for name in expected}) == len(expected)
    assert found.image("train", "hand", 0).size == (64, 64)


def test_one_size_one_baseline_and_ink_in_the_middle(given, tmp_path):
    glyphs.fetch(tmp_path / "glyphs", given)
    found = sets.load(Data(source="glyphs", root=tmp_path / "glyphs"), 32)
    for split in images.SPLITS:
        for domain in found.domains:
            for index, name in enumerate(found.names[split][domain]):
                image = found.image(split, domain, index)
                top, bottom, left, right = ink(image)
                assert abs(left - (64 - right)) <= 1, name
                edge = np.asarray(image)
                assert min(edge[[0, -1]].min(), edge[:, [0, -1]].min()) == 255, name
                if name.startswith(("upper-h", "upper-e", "upper-t", "upper-x")):
                    assert (top, bottom) == (glyphs.BASELINE - glyphs.CAP_HEIGHT, glyphs.BASELINE), name


def test_the_right_image_is_the_character_in_the_typeface_of_the_reference(given, tmp_path):
    glyphs.fetch(tmp_path / "glyphs", given)
    found = sets.load(Data(source="glyphs", root=tmp_path / "glyphs"), 32)
    source = found.names["val"]["hand"].index("lower-a__satisfy-regular.png")
    reference = found.names["val"]["sans"].index("digit-2__inter-bold.png")
    right = found.names["val"]["sans"].index("lower-a__inter-bold.png")
    assert found.truth("hand", source, "sans", reference) == found.image("val", "sans", right)


def test_licences_and_what_drew_the_images(given, tmp_path):
    glyphs.fetch(tmp_path / "glyphs", given)
    serif, sans, hand, changed = (tmp_path / "glyphs/LICENSES.txt").read_text().splitlines()
    assert serif.startswith("serif: @expo-google-fonts/lora@")
    assert sans.endswith(", OFL-1.1. Copyright 2020 The Authors.")
    assert hand.endswith("Copyright (c) 2011 by Font Diner, Inc. All rights reserved.")
    assert changed.startswith("Changed here")
    assert (tmp_path / "glyphs/VERSION").read_text().startswith(f"glyphs {glyphs.VERSION}, Pillow ")


def test_the_same_images_each_time(given, tmp_path):
    for name in ("a", "b"):
        glyphs.fetch(tmp_path / name, given)
    first, second = (sets.load(Data(source="glyphs", root=tmp_path / name), 32) for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint


def test_packages_are_downloaded_where_no_tarballs_are_given(given, tmp_path, monkeypatch, quick_cli):
    files = {family.package: given / family.tarball for family in glyphs.FAMILIES}
    monkeypatch.setattr(tarballs, "npm_pack", lambda package, target: shutil.copy(files[package], target))
    process = quick_cli("data", "fetch", "glyphs")
    assert process.returncode == 0, process.stderr
    assert "hand: @expo-google-fonts/satisfy@" in process.stdout
    assert str(glyphs.default_folder()) in process.stdout
    assert sets.load(Data(source="glyphs"), 32).count("val", "sans") == 2 * len(VAL)
    again = quick_cli("data", "fetch", "glyphs")
    assert (again.returncode, "already exists" in again.stderr) == (2, True)


def damage(file):
    with file.open("ab") as opened:
        opened.write(b"x")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            damage,
            r"inter-0\.4\.2\.tgz: sha256 is \w{64}, expected \w{64}; download it again \(`npm pack @expo-google-fo",
        ),
        (Path.unlink, r"inter-0\.4\.2\.tgz: missing; `npm pack @expo-google-fonts/inter@0\.4\.2` downloads it"),
    ],
)
def test_a_damaged_or_missing_tarball_is_named_and_leaves_nothing_behind(given, tmp_path, harm, message):
    harm(given / "expo-google-fonts-inter-0.4.2.tgz")
    with pytest.raises(ValueError, match=message):
        glyphs.fetch(tmp_path / "glyphs", given)
    assert [path.name for path in tmp_path.iterdir()] == ["tarballs"]


def test_a_character_that_would_be_cut_off_is_refused(given, tmp_path, monkeypatch):
    monkeypatch.setattr(glyphs, "CAP_HEIGHT", 50)
    with pytest.raises(ValueError, match="DejaVu Serif: [A-Z] does not fit into an image"):
        glyphs.fetch(tmp_path / "glyphs", given)
    assert not (tmp_path / "glyphs").exists()


def test_without_the_images_the_error_says_how_to_fetch_them(tmp_path):
    with pytest.raises(ValueError, match="fetch them with `sg2bench data fetch glyphs`"):
        sets.load(Data(source="glyphs", root=tmp_path), 32)


def test_every_family_is_pinned_once():
    assert {family.domain for family in glyphs.FAMILIES} == {"hand", "sans", "serif"}
    for key in ("name", "sha256"):
        assert len({getattr(family, key) for family in glyphs.FAMILIES}) == len(glyphs.FAMILIES) == 29
    assert all(len(family.sha256) == 64 for family in glyphs.FAMILIES)
