"""The rules of the golden vectors themselves: if these fail, look here before anywhere else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests import golden


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("rule"))
def test_golden_rules(case):
    rules, checks = golden.manifest(), golden.load(case)
    made = []
    for check in checks["weights"]:
        seed, _, key = check["string"].partition(":")
        assert seed == rules["inception_seed_string" if key.startswith("inception.") else "seed_string"]
        made.append((check, golden.weight(*key.split(".", 1), tuple(check["shape"]))))
    for check in checks["inputs"]:
        name = check["string"].removeprefix(f"{rules['seed_string']}:input:")
        made.append((check, golden.draw(check["law"], name, tuple(check["shape"]))))
    for check, tensor in made:
        value = tensor.numpy().ravel()
        where = check["string"]
        assert_allclose(value[:4], np.ravel(check["first4"]), rtol=1e-12, err_msg=where)
        assert_allclose(value[-1], check.get("last", value[-1]), rtol=1e-12, err_msg=where)
        assert_allclose(np.linalg.norm(value), check["l2"], rtol=1e-12, err_msg=where)
        assert_allclose(value.sum(), check["sum"], rtol=0, atol=1e-9, err_msg=where)


@golden.needs_golden
def test_golden_files_are_whole():
    for file, digest in golden.manifest()["sha256"].items():
        assert hashlib.sha256((golden.FOLDER / file).read_bytes()).hexdigest() == digest, file


def test_texts_of_the_manifest_are_read_whole():
    text = (
        "x = 3*uniform(-1,1), names 'a', 'b', shape (2,3): images; 'c', shape (4,); w = standard_normal, names 'd1' .. "
    )
    made = golden.tensors(text + "'d3', shape (2,2), labels [2, 0]")
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == {
        **dict.fromkeys("ab", (2, 3)),
        "c": (4,),
        **dict.fromkeys(("d1", "d2", "d3"), (2, 2)),
    }
    assert (made["c"] == 3 * golden.draw("uniform(-1,1)", "c", (4,))).all()
    assert (made["d2"] == golden.draw("standard_normal", "d2", (2, 2))).all()
    assert golden.labels("three images, labels [2, 0,1]; more").tolist() == [2, 0, 1]
    assert golden.labels("shape (1,16); label 1").tolist() == [1]
