from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sg2bench.bench import cost


def test_35_equal_runs_on_2_workers_end_after_18():
    assert cost.makespan([10.0] * 35, 2) == 180
    assert cost.makespan([10.0] * 35, 1) == 350
    assert cost.makespan([10.0] * 35, 64) == 10


def test_a_free_worker_takes_the_next_run_in_order():
    assert cost.makespan([2.0, 2, 3, 1], 2) == 5  # 2 then 3; 2 then 1
    assert cost.makespan([1.0, 1, 4], 2) == 5  # the longest last
    assert cost.makespan([], 3) == 0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.integers(1, 9))
def test_no_makespan_is_below_what_workers_can_do_or_above_what_any_order_takes(seconds, workers):
    found, share = cost.makespan(seconds, workers), sum(seconds) / workers
    assert max(share, *seconds, 0) <= found * (1 + 1e-9)
    assert found <= (share + max(seconds)) * (1 + 1e-9)


def test_a_step_follows_the_line_of_the_docs():
    """The table in docs/performance.md: 44.9 GFLOP take 0.777 s by the fit."""
    assert cost.step_seconds(44.9, cost.CPU) == pytest.approx(0.777, abs=0.003)
    assert cost.step_seconds(2.43, cost.CPU) == pytest.approx(0.130, abs=0.001)


def test_an_evaluation_follows_its_line():
    """2.78 ms an output at 64 px, widths 16 to 64 (docs/performance.md)."""
    features = cost.features_gflop(["alexnet"], 64)
    gflop = cost.evaluation_gflop([2 * 12] * 3, 10, 1, 0.117, 0.150, features)
    assert gflop / cost.CPU.evaluation_gflop_per_second == pytest.approx(0.0987 + 0.00278 * 720, rel=0.1)


def test_half_a_gpu_takes_twice_as_long_and_four_a_quarter_for_what_grows_with_size():
    rates = cost.gpu(10)
    fixed, shares = rates.step_seconds, (1, 0.5, 4)
    steps = [cost.step_seconds(10_000, rates, share) for share in shares]
    assert steps == pytest.approx([fixed + 1, 2 * (fixed + 1), fixed + 0.25])


def test_runs_at_the_same_time():
    assert [cost.parallel_runs(64, share) for share in (1, 0.25, 0.3, 2, 3, 65)] == [64, 256, 192, 32, 21, 0]


def test_evaluations_of_a_run():
    """Three steps on the way and the last: four on half of the sources, two on the other half, one on all."""
    assert cost.evaluations(0) == 1
    assert cost.evaluations(4) == 1 + 4 / 2 + 2 / 2


def test_bytes_on_disk():
    """10 bytes trained, 8 averaged: a checkpoint of 38, networks of 18, two kept steps of 8."""
    assert cost.storage_bytes(10, 8, 0) == 38 + 18
    assert cost.storage_bytes(10, 8, 2) == 38 + 18 + 16
