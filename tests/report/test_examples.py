"""The picture of every variant's examples: what stands where, and which files are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sg2bench import rows as row_table
from sg2bench.report import examples, write

pytestmark = pytest.mark.usefixtures("without_plots")
SIDE = 5
STEP = 38 * SIDE + 4
"""Pixels from a tile to the next: enlarged by a whole factor to at most 192, and a gap."""


@pytest.fixture
def folder(folder):
    """The folder, with rows by reference, too."""
    table = row_table.read(folder / "in/results.csv")
    models = row_table.models(table).assign(mode="reference")
    row_table.write(pd.concat([table, models], ignore_index=True), folder / "in/results.csv")
    return folder


def draw(path, output, rows=4, side=SIDE, inputs=0):
    """A run's picture: inputs of one grey a tile, outputs of one colour."""
    pixels = np.full((rows * side, 8 * side, 3), inputs, np.uint8)
    for row in range(rows - 1):
        for column in range(8):
            pixels[row * side : (row + 1) * side, column * side : (column + 1) * side] += np.uint8(10 * row + column)
    pixels[-side:] = output
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def tile(sheet, row, column, after_inputs):
    """The middle of a tile; those of outputs stand a break lower."""
    left = sheet.shape[1] - 8 * STEP - 4
    top = row * STEP + (28 if after_inputs else 0)
    return sheet[top + 4 : top + STEP, left + 4 + column * STEP : left + (column + 1) * STEP]


@pytest.mark.parametrize("rows", [3, 4])
def test_inputs_once_then_a_row_for_each_variant_without_blur(tmp_path, rows):
    files = {"full": draw(tmp_path / "full.png", (200, 0, 0), rows), "no": draw(tmp_path / "no.png", (0, 0, 200), rows)}
    sheet = np.asarray(examples.stack(files))
    assert len(sheet) == (rows + 1) * STEP + 4 + 28
    for row in range(rows - 1):
        for column in range(8):
            assert (tile(sheet, row, column, after_inputs=False) == 10 * row + column).all()
    assert (tile(sheet, rows - 1, 7, after_inputs=True) == (200, 0, 0)).all()
    assert (tile(sheet, rows, 0, after_inputs=True) == (0, 0, 200)).all()
    labels = sheet[:, : sheet.shape[1] - 8 * STEP - 4]
    for row in range(rows + 1):
        top = row * STEP + 28 * (row >= rows - 1)
        assert labels[top : top + STEP].min() < 60
    assert examples.knows_right_images(files["full"]) == (rows == 4)


def test_large_images_keep_their_size(tmp_path):
    sheet = examples.stack({"full": draw(tmp_path / "full.png", 0, side=256)})
    assert sheet.width > 8 * 256
    assert sheet.height == 4 * 260 + 4 + 28


def test_the_page_begins_with_the_examples_of_the_variants_that_have_any(folder):
    draw(folder / "in/grids/full-examples.png", 9)
    text = write.write(folder / "in/results.csv", folder / "out", "x").read_text()
    assert text.index('<section id="examples">') < text.index('<section id="leaderboard">')
    assert "No picture: no_ds." in text
    assert "an output should equal the right image" in text
    assert (folder / "out/examples.png").is_file()
    assert (folder / "out/grids/full-examples.png").is_file()
    (folder / "in/grids/full-examples.png").unlink()
    assert 'id="examples"' not in write.write(folder / "in/results.csv", folder / "out", "x").read_text()
    assert not (folder / "out/examples.png").exists()


def test_a_picture_of_other_images_is_refused(tmp_path):
    for other in ({"inputs": 9}, {"rows": 3}, {"side": 6}):
        files = {"full": draw(tmp_path / "full.png", 0), "no": draw(tmp_path / "no.png", 0, **other)}
        with pytest.raises(ValueError, match="no.png: shows other images than full.png; remove it, or the one in its"):
            examples.stack(files)
    draw(tmp_path / "no.png", 0, inputs=1)  # as another library may decode them
    examples.stack(files)


@pytest.mark.parametrize("size", [(8, 2), (8, 5), (9, 4), (8 * 1025, 4 * 1025), (1, 1)])
def test_a_picture_that_no_run_draws_is_refused_before_anything_is_written(folder, size):
    Image.new("RGB", size).save(folder / "in/grids/full-examples.png")
    with pytest.raises(ValueError, match=rf"full-examples.png: is {size[0]} × {size[1]} px, expected square tiles"):
        write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out").exists()
