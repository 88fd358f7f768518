from __future__ import annotations

import pytest

from sg2bench.config import Evaluate
from tools.rehash import hashes_of, old_hash, rehash


@pytest.fixture
def hashes(tiny):
    return hashes_of(tiny)


@pytest.fixture
def old(tiny):
    return old_hash(tiny.evaluate, tiny.model.image_size)


@pytest.fixture
def file(old, tmp_path):
    """Two rows as they were, with cells that a parser of numbers would change."""
    path = tmp_path / "results.csv"
    path.write_text(
        "metric,value,protocol_hash,command\n"
        f'fd_alexnet,1.10,{old},"sg2bench ablate, NA"\n'
        f"lpips,0.30000000000000004,{old},\n"
    )
    return path


def test_old_hashes_are_those_of_committed_rows():
    """Of critters and emoji."""
    assert old_hash(Evaluate(resize=64, sources=40, outputs_per_source=5), 32) == "eb667e422f18499b"
    assert old_hash(Evaluate(resize=64, sources=71, outputs_per_source=5), 32) == "d5e328d6bc6ef098"


def test_only_the_hashes_are_rewritten_and_only_once(file, old, hashes):
    before = file.read_text()
    after = before.replace(old, hashes[old, "fd_alexnet"], 1).replace(old, hashes[old, "lpips"], 1)
    for changed in (2, 0):
        assert rehash(file, hashes) == changed
        assert file.read_text() == after


def test_rows_of_other_settings_are_refused(file, tiny, hashes):
    other = hashes_of(tiny.model_copy(update={"evaluate": tiny.evaluate.model_copy(update={"seed": 1})}))
    with pytest.raises(ValueError, match=r"results.csv: line 2: fd_alexnet has the protocol hash .* the settings give"):
        rehash(file, other)
    file.write_text(file.read_text().replace("lpips", "no_metric"))
    with pytest.raises(ValueError, match="line 3: no_metric"):
        rehash(file, hashes)


def test_a_file_that_would_change_elsewhere_is_refused(file, hashes):
    file.write_text(file.read_text().replace("1.10", '"1.10"'))
    with pytest.raises(ValueError, match="other bytes"):
        rehash(file, hashes)
