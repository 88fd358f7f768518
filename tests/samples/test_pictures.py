from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sg2bench.data.decode import read_image
from sg2bench.samples.pictures import read_pictures


def names(place):
    return [(picture.group, picture.stem) for picture in read_pictures(place, 32)]


def test_images_of_a_folder_and_of_the_folders_in_it(folder):
    assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]
    assert names(folder / "cat") == [(".", "a")]


def test_pictures_are_whole_images_resized_to_a_square(folder):
    (picture,) = read_pictures(folder / "cat", 32)
    expected = np.asarray(read_image(folder / "cat/a.png").resize((32, 32), Image.Resampling.BILINEAR))
    assert (picture.pixels.permute(1, 2, 0).numpy() == expected).all()


def test_a_single_file_is_a_picture_in_no_folder(folder):
    assert names(folder / "bunny/b.jpg") == [(".", "b")]
    one, same = read_pictures(folder / "bunny/a.png", 32)[0], read_pictures(folder, 32)[0]
    assert (one.pixels == same.pixels).all()


def test_folders_at_any_depth_are_groups_of_their_path(folder):
    (folder / "cat/young/white").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(folder / "cat/young/white/a.png")
    assert names(folder)[2:] == [("cat", "a"), ("cat/young/white", "a")]
    assert names(folder / "cat/young") == [("white", "a")]


def test_hidden_files_and_folders_are_no_sources_at_any_depth(folder):
    for hidden in (".cache", "cat/.thumbnails/large"):
        (folder / hidden).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(folder / hidden / "x.png")
    assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]


def test_a_hidden_folder_that_is_asked_for_is_read(folder):
    (folder / "cat").rename(folder / ".cat")
    assert names(folder / ".cat") == [(".", "a")]


def test_links_to_folders_are_followed_but_not_in_circles(folder, tmp_path):
    (folder / "cat").rename(tmp_path / "elsewhere")
    (folder / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(folder)
    assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]


def test_a_broken_link_is_named(folder):
    (folder / "cat/b.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(ValueError, match=r"cat/b\.png: not a readable image"):
        read_pictures(folder, 32)


def test_what_cannot_be_read_is_refused(folder):
    with pytest.raises(ValueError, match="none: no such folder or file"):
        read_pictures(folder / "none", 32)
    with pytest.raises(ValueError, match=r"notes\.txt: not a readable image"):
        read_pictures(folder / "notes.txt", 32)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no images"):
        read_pictures(folder / "empty", 32)
    Image.new("RGB", (9, 9)).save(folder / "bunny/a.webp")
    with pytest.raises(ValueError, match=r"bunny/a\.webp: another image there has the same name but for its ending"):
        read_pictures(folder, 32)
