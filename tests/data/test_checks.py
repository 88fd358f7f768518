from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sg2bench.data import checks
from sg2bench.data import folder as folder_sets
from sg2bench.files import cache_folder


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    """Two domains, eight images a split."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for domain in ("cat", "dog"):
            (tmp_path / "set" / split / domain).mkdir(parents=True)
            for number in range(8):
                pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "set" / split / domain / f"{number}.png")
    return tmp_path / "set"


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that are decoded, as they are."""
    seen = []

    def look_at(path, before=checks._look_at):
        seen.append(path.name)
        return before(path)

    monkeypatch.setattr(checks, "_look_at", look_at)
    return seen


def test_a_file_is_decoded_again_only_if_it_changed(root, decoded):
    first = folder_sets.load(root).fingerprint
    assert len(decoded) == 32
    decoded.clear()
    assert folder_sets.load(root).fingerprint == first
    assert decoded == []
    shutil.copyfile(root / "train/cat/1.png", root / "train/cat/new.png")
    (root / "val/dog/3.png").unlink()
    os.utime(root / "val/dog/4.png", (1, 1))
    assert folder_sets.load(root).fingerprint != first
    assert decoded == ["new.png", "4.png"]
    decoded.clear()
    folder_sets.load_real(root / "train")
    assert decoded == []


def test_all_broken_images_are_named_at_once_and_the_others_are_kept(root, decoded):
    for number in range(8):
        for folder in ("train/cat", "train/dog", "val/dog"):
            (root / folder / f"{number}.png").write_bytes(b"" if number % 2 else b"broken")
    with pytest.raises(
        ValueError, match=r"set: 24 of 32 images are not readable: train/cat/0\.png \(it is not a "
    ) as error:
        folder_sets.load(root)
    message = str(error.value)
    assert message.count(".png (") == 20
    assert "train/cat/1.png (it is empty), " in message
    assert message.endswith(" and 4 more; repair or remove them")
    assert message.isprintable()
    decoded.clear()
    with pytest.raises(ValueError, match="24 of 32 images are not readable"):
        folder_sets.load(root)
    assert len(decoded) == 24
    for folder in ("train/dog", "val/dog"):
        for number in range(8):
            shutil.copyfile(root / f"val/cat/{number}.png", root / folder / f"{number}.png")
    with pytest.raises(ValueError, match="8 of 32 images are not readable: .*, train/cat/7.png .it is empty.; repair"):
        folder_sets.load(root)


@pytest.mark.parametrize("how", ["moved there", "written in place", "as another link"])
def test_images_replaced_by_others_of_the_same_size_and_date_are_noticed(root, tmp_path, how):
    """As `cp -p`, `rsync -t` and `tar` do, and as a link that is turned to another file."""
    place, other = root / "train/cat/0.png", tmp_path / "other.png"
    for file, shade in ((place, 60), (other, 200)):
        Image.new("L", (16, 16), shade).save(file, format="bmp")
        os.utime(file, (1, 1))
    if how == "as another link":
        place.rename(tmp_path / "first.png")
        place.symlink_to(tmp_path / "first.png")
    first, before = folder_sets.load(root).fingerprint, place.stat()
    assert folder_sets.load(root).fingerprint == first
    if how == "moved there":
        other.replace(place)
    elif how == "written in place":
        place.write_bytes(other.read_bytes())
        os.utime(place, (1, 1))
    else:
        place.unlink()
        place.symlink_to(other)
    after = place.stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    assert folder_sets.load(root).fingerprint != first


def test_what_was_checked_before_an_interruption_is_kept(root, decoded, monkeypatch):
    def interrupted(path, before=checks._look_at):
        if len(decoded) == 20:
            raise KeyboardInterrupt
        return before(path)

    with monkeypatch.context() as patch:
        patch.setattr(checks, "_look_at", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder_sets.load(root)
    decoded.clear()
    folder_sets.load(root)
    assert len(decoded) == 12


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A set, its cache, its fingerprint, and a file of the cache with its content."""
    place = tmp_path_factory.mktemp("kept")
    root, cache = place / "set", place / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SG2BENCH_CACHE", str(cache))
        for split in ("train", "val"):
            for shade, domain in enumerate(("cat", "dog")):
                (root / split / domain).mkdir(parents=True)
                ramp = np.arange(256, dtype=np.uint8).reshape(16, 16) ^ (shade * 2 + (split == "val"))
                Image.fromarray(ramp).save(root / split / domain / "a.png")
        fingerprint = folder_sets.load(root).fingerprint
        file = sorted((cache / "folders").iterdir())[0]
    return root, cache, fingerprint, file, file.read_text()


NAMES = ("a.png", "b.png", "")
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-9, 10**6), st.floats(), st.text(max_size=3))
STORED = st.one_of(
    VALUES,
    st.lists(VALUES, max_size=8),
    st.dictionaries(st.sampled_from(("files", "digest", *NAMES)), st.one_of(VALUES, st.lists(VALUES, max_size=8))),
    st.fixed_dictionaries({"digest": VALUES, "files": st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES))}),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_cache_is_rebuilt(kept, monkeypatch, data):
    root, cache, fingerprint, file, content = kept
    monkeypatch.setenv("SG2BENCH_CACHE", str(cache))
    cut = data.draw(st.integers(0, len(content) - 1))
    digit = data.draw(st.sampled_from([at for at, character in enumerate(content) if character.isdigit()]))
    other = data.draw(st.sampled_from("0123456789").filter(lambda each: each != content[digit]))
    damaged = data.draw(
        st.one_of(
            st.just(content[:cut]),
            st.just(content[:digit] + other + content[digit + 1 :]),
            STORED.map(json.dumps),
            st.just("[" * 100_000),
            st.text(max_size=9),
        )
    )
    file.write_bytes(damaged.encode())
    assert folder_sets.load(root).fingerprint == fingerprint
    assert file.read_text() == content


def test_digests_that_are_none_do_not_count_even_where_the_whole_fits(root, decoded):
    folder_sets.load(root)
    decoded.clear()
    for path in (cache_folder() / "folders").iterdir():
        files = checks._read(path)
        checks._write(path, {name: each._replace(sha256="0" * 63) for name, each in files.items()})
    folder_sets.load(root)
    assert len(decoded) == 32
