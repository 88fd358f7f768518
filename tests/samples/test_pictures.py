from __future__ import annotations

import os

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
    Image.new("RGB", (9, 9)).save(folder / "cat/.hidden.png")
    with pytest.warns(
        UserWarning,
        match=r"in: left out 2 hidden folders \(e.g. \.cache\), 1 hidden image \(cat/\.hidden\.png\)",
    ):
        assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]


def test_files_in_another_format_are_counted(folder):
    for name in ("notes.txt", "cat/a.gif", "cat/b.gif"):
        (folder / name).write_text("no image")
    with pytest.warns(
        UserWarning, match=r"in: left out 3 files in another format \(e.g. cat/a\.gif\); images are \.png"
    ):
        assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]


def test_a_hidden_folder_that_is_asked_for_is_read(folder):
    (folder / "cat").rename(folder / ".cat")
    assert names(folder / ".cat") == [(".", "a")]


def test_links_to_folders_are_followed_but_not_in_circles(folder, tmp_path):
    (folder / "cat").rename(tmp_path / "elsewhere")
    (folder / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(folder)
    assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]


def test_many_links_in_circles_end(folder):
    for number in range(12):
        (folder / f"f{number}").mkdir()
    for number in range(12):
        for other in range(12):
            (folder / f"f{number}/to{other}").symlink_to(folder / f"f{other}")
    with pytest.warns(UserWarning, match="left out 66 links to a folder that is read under another name"):
        assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]


def test_a_second_link_to_a_folder_is_not_lost_in_silence(folder):
    (folder / "twin").symlink_to(folder / "bunny")
    with pytest.warns(UserWarning, match=r"left out 1 link to a folder that is read under another name \(twin\)"):
        assert len(names(folder)) == 3


def test_all_broken_images_are_named_at_once(folder):
    for number in range(25):
        (folder / f"cat/{number:02d}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"in: 25 of 28 images are not readable: cat/00\.png .* and 5 more; repair or"):
        read_pictures(folder, 32)


@pytest.mark.parametrize("name", ["a.bmp", "a.tif", "a.TIFF"])
def test_every_format_is_read(tmp_path, name):
    Image.new("RGB", (9, 9)).save(tmp_path / name)
    assert names(tmp_path) == names(tmp_path / name) == [(".", "a")]


def test_a_pipe_is_refused_and_not_waited_for(folder):
    os.mkfifo(folder / "cat/pipe.png")
    with pytest.warns(UserWarning, match=r"left out 1 device or pipe \(cat/pipe\.png\)"):
        assert names(folder) == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]
    with pytest.raises(ValueError, match=r"pipe\.png: not a readable image \(it is not a file\)"):
        read_pictures(folder / "cat/pipe.png", 32)


def test_a_broken_link_is_named(folder):
    (folder / "cat/b.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(ValueError, match=r"cat/b\.png: not a readable image \(it is a broken link\)"):
        read_pictures(folder, 32)


def test_what_cannot_be_read_is_refused(folder):
    with pytest.raises(ValueError, match="none: no such folder or file"):
        read_pictures(folder / "none", 32)
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"notes\.txt: not a readable image"):
        read_pictures(folder / "notes.txt", 32)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no images"):
        read_pictures(folder / "empty", 32)
    Image.new("RGB", (9, 9)).save(folder / "bunny/a.webp")
    (folder / "notes.txt").unlink()
    with pytest.raises(ValueError, match=r"bunny/a\.webp: another image has the same name with a different ext"):
        read_pictures(folder, 32)
