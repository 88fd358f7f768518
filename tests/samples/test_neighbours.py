from __future__ import annotations

import numpy as np
import pytest

from sg2bench.config import Data
from sg2bench.data import sets
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.outputs import to_float
from sg2bench.models.networks import Networks
from sg2bench.samples import neighbours as module
from sg2bench.samples.neighbours import NUMBER, neighbours

SIDE = 64
"""Of a tile."""


@pytest.fixture
def images():
    return sets.load(Data(train_per_domain=9, val_per_domain=6, domains=("cat", "dog")), 32)


def measured(tiny, images, metric, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    evaluate = tiny.evaluate.model_copy(update={"metrics": (metric,), "sources": 6})
    return Evaluator(evaluate, images, 32)


def rows_of(picture):
    pixels = np.asarray(picture)
    starts = [0, *(4 + SIDE * row for row in (1, 2, 3))]
    return [pixels[start : start + SIDE] for start in starts]


def test_copies_are_found_with_the_images_they_were_copied_from(tiny, images, tmp_path, monkeypatch):
    def copied(nets, images, source, given, styles, step, size):
        target = "dog" if source == "cat" else "cat"
        yield to_float(images.batch("train", target, range(len(given.sources)), size))

    monkeypatch.setattr(module, "translate", copied)
    evaluator = measured(tiny, images, "nearest_training_gap", tmp_path, monkeypatch)
    picture = neighbours(Networks(tiny.model, 2), evaluator)
    assert picture.size == (NUMBER * SIDE, 4 * SIDE + 4)
    outputs, training, held_out, of_held_out = rows_of(picture)
    np.testing.assert_array_equal(outputs, training)
    assert (held_out != of_held_out).any()


def test_without_a_measure_of_copies_there_is_no_picture(tiny, images, tmp_path, monkeypatch):
    evaluator = measured(tiny, images, "fd_alexnet", tmp_path, monkeypatch)
    assert neighbours(Networks(tiny.model, 2), evaluator) is None
