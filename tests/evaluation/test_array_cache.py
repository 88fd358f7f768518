from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sg2bench.evaluation import array_cache
from tests.test_tensor_files import disk_full_after

FEATURES = np.random.default_rng(0).standard_normal((5, 7), dtype=np.float32)


def read(path):
    found = array_cache.read(path, {"features": FEATURES.shape})
    return None if found is None else found["features"]


def write(path, features):
    array_cache.write(path, {"features": features})


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "key.npz", FEATURES)
    return tmp_path / "key.npz"


def test_what_was_kept_is_read_and_what_is_not_there_is_not(path, tmp_path):
    assert (read(path) == FEATURES).all()
    assert read(tmp_path / "none.npz") is None


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.filterwarnings("ignore:.*damaged or changed")
def test_whatever_bytes_are_damaged_the_features_are_right_or_left_out(path, data):
    write(path, FEATURES)
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content)))
    content[start : start + data.draw(st.integers(0, 200))] = data.draw(st.binary(max_size=200))
    path.write_bytes(content)
    found = read(path)
    assert found is None or (found == FEATURES).all()


def save(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)


def claim_more_than_all_memory(path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 100000000), }"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", member)
        archive.writestr("padding", bytes(1000))


def pack(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", bytes(10**7))


@pytest.mark.parametrize(
    "replace",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"{}"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(pickle.dumps({"features": FEATURES})),
        lambda path: save(path, features=FEATURES),
        lambda path: save(path, features=FEATURES + 1, sha256=array_cache._digest(path, {"features": FEATURES})),
        lambda path: write(path, FEATURES[:4]),
        lambda path: write(path, FEATURES[:, :6]),
        lambda path: write(path, FEATURES.astype(np.float64)),
        lambda path: write(path, FEATURES * np.float32("nan")),
        lambda path: write(path, np.full_like(FEATURES, np.inf)),
        lambda path: write(path, FEATURES.astype(object)),
        claim_more_than_all_memory,
        pack,
    ],
)
def test_anything_else_is_left_out_and_named(path, replace):
    replace(path)
    with pytest.warns(UserWarning, match=r"key.npz: damaged or changed, so it is computed again"):
        assert read(path) is None


def test_features_under_another_s_name_are_left_out(path, tmp_path):
    path.rename(tmp_path / "other.npz")
    with pytest.warns(UserWarning, match=r"other.npz: damaged or changed"):
        assert read(tmp_path / "other.npz") is None


def test_a_full_disk_is_an_error_that_names_the_file(path):
    with pytest.raises(OSError, match=r"File too large: '.*key\.npz'"), disk_full_after(10_000):
        write(path, np.zeros((1000, 100), np.float32))
    assert (read(path) == FEATURES).all()
