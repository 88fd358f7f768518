"""Values at several steps of a run: the same training, each step once, the best one judged by other sources."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from sg2bench import rows
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.runs import collect, job, plan, steps
from sg2bench.runs.perform import perform, reference_lines
from tests.runs.test_plan import CPU, changed, states

MEASURED = [(2, "even"), (3, "even"), (4, "even")]


@pytest.fixture
def several(tiny):
    """One variant, measured at steps 2, 3 and 4, the last."""
    one = tiny.model_copy(update={"variants": {"full": {}}})
    metrics = ["fd_alexnet", "lpips"]
    return changed(
        one, train={"evaluate_at": [2, 3], "learning_rate": 0.01}, evaluate={"sources": 4, "metrics": metrics}
    )


def without(experiment):
    return changed(experiment, train={"evaluate_at": []})


def performed(experiment, runs):
    """The run's folder, and its rows."""
    (status,) = plan.plan(experiment, runs)
    plan.write([status])
    perform(job.read(status.job.folder), CPU)
    return status.job.folder, rows.read(status.job.folder / "rows.csv")


def values(table):
    return table.drop(columns="created_at").reset_index(drop=True)


def measured(table):
    """Step and protocol of the rows, in order."""
    return list(dict.fromkeys(zip(table["step"], table["protocol"], strict=True)))


def kept(folder, step):
    return folder / f"steps/{step:06d}_nets_ema.ckpt"


def networks(path):
    return torch.load(path, weights_only=True)


def equal(ours, theirs):
    """Whether networks are the same, bit by bit."""
    return all((ours[name][key] == value).all() for name, state in theirs.items() for key, value in state.items())


def test_steps_are_measured_without_a_change_to_training_and_result(several, tmp_path):
    folder, table = performed(several, tmp_path / "several")
    plain, of_last = performed(without(several), tmp_path / "plain")
    for name in ("000004_nets_ema.ckpt", "000004_nets.ckpt"):
        assert equal(networks(folder / name), networks(plain / name))
    assert (folder / "train.csv").read_text() == (plain / "train.csv").read_text()
    assert not (plain / "steps").exists()
    pd.testing.assert_frame_equal(values(rows.last_steps(table)), values(of_last))
    even = [(step, f"offline, {part} sources") for step, part in MEASURED]
    best = rows.best_step(table, "fd_alexnet")
    assert measured(table) == [*even, *((s, "offline, odd sources") for s in sorted({best, 4})), (4, "offline")]
    for _, of_step in table.groupby(["step", "protocol"]):
        assert len(of_step) == len(of_last)
    stopped, _ = performed(changed(without(several), train={"steps": 2}, loss={"ds_steps": 4}), tmp_path / "stopped")
    assert equal(networks(kept(folder, 2)), networks(stopped / "000002_nets_ema.ckpt"))


def test_the_mean_of_both_halves_is_that_of_all_sources(several, tmp_path):
    """For a metric that is a mean over sources.

    Batches of another size are rounded otherwise on some CPUs, and a pixel may then fall on the other side of a level,
    by which LPIPS moves 1e-6.
    """
    _, table = performed(changed(several, train={"evaluate_at": [4]}), tmp_path)
    lpips = table[(table["metric"] == "lpips") & (table["step"] == 4)]
    by_part = lpips.pivot(index=["mode", "source", "target"], columns="protocol", values="value")
    halves = by_part[["offline, even sources", "offline, odd sources"]]
    assert halves.mean(axis=1).tolist() == pytest.approx(by_part["offline"].tolist(), rel=1e-5, abs=2e-6)
    assert (halves.nunique(axis=1) == 2).all()
    assert lpips.groupby("protocol")["protocol_hash"].nunique().tolist() == [1, 1, 1]
    assert lpips["protocol_hash"].nunique() == 3


@pytest.mark.parametrize("last", [1, 4])
def test_a_run_cut_off_while_it_is_measured_goes_on_to_the_same_rows(several, tmp_path, monkeypatch, last):
    """And measures nothing twice that it has."""
    _, whole = performed(several, tmp_path / "whole")
    model, calls = Evaluator.model, []

    def counted(*arguments):
        calls.append(arguments)
        if len(calls) == last + 1:
            raise KeyboardInterrupt
        return model(*arguments)

    monkeypatch.setattr(Evaluator, "model", counted)
    with pytest.raises(KeyboardInterrupt):
        performed(several, tmp_path / "cut")
    assert states(several, tmp_path / "cut") == ["waiting"]
    _, table = performed(several, tmp_path / "cut")
    assert len(calls) == len(measured(whole)) + 1
    pd.testing.assert_frame_equal(values(table), values(whole))
    assert states(several, tmp_path / "cut") == ["skipped"]


def test_another_metric_is_measured_at_every_step_and_fewer_steps_are_a_choice_of_rows(several, tmp_path):
    folder, _ = performed(several, tmp_path)
    fewer = changed(several, train={"evaluate_at": [2]})
    for asked, found in ((several, 3), (fewer, 2), (without(several), 0)):
        planned = plan.plan(asked, tmp_path)
        assert [status.state for status in planned] == ["skipped"]
        table = collect.collect(asked, planned, pd.DataFrame(columns=rows.COLUMNS), tmp_path / "out", "command")
        assert rows.of_half(table, "even")["step"].nunique() == found
    more = changed(several, evaluate={"metrics": ["fd_alexnet", "lpips", "kd_alexnet"]}, train={"best_by": "lpips"})
    assert states(more, tmp_path) == ["waiting"]
    _, table = performed(more, tmp_path)
    assert set(rows.of_half(table, "even").groupby("step")["metric"].nunique()) == {3}
    assert set(rows.of_half(table, "odd")["step"]) == {rows.best_step(table, "lpips"), 4}
    assert kept(folder, 3).is_file()


def test_a_longer_training_goes_on_and_has_the_rows_of_one_from_scratch(several, tmp_path):
    short = changed(several, loss={"ds_steps": 4}, train={"evaluate_at": [], "evaluate_every": 2})
    longer = changed(short, train={"steps": 6})
    performed(short, tmp_path / "a")
    pd.testing.assert_frame_equal(*(values(performed(longer, tmp_path / runs)[1]) for runs in "ab"))


def test_a_step_that_training_has_passed_is_refused_with_how_far_it_is(several, tmp_path):
    folder, _ = performed(without(several), tmp_path)
    message = (
        r"seed-0: the networks of step 2 were not kept, and training is at step 4; remove the folder to train again"
    )
    with pytest.raises(ValueError, match=message):
        plan.plan(several, tmp_path)
    (folder / "000004_nets_ema.ckpt").unlink()  # now the checkpoint says how far
    (folder / "rows.csv").unlink()
    with pytest.raises(ValueError, match=message):
        plan.plan(several, tmp_path)
    last = changed(several, train={"evaluate_at": [4]})
    assert measured(performed(last, tmp_path)[1])[0] == (4, "offline, even sources")


def test_networks_of_a_step_that_were_damaged_are_not_measured(several, tmp_path):
    folder, _ = performed(several, tmp_path)
    (folder / "rows.csv").unlink()
    content = bytearray(kept(folder, 3).read_bytes())
    content[len(content) // 2] ^= 1
    kept(folder, 3).write_bytes(content)
    with pytest.raises(ValueError, match="000003_nets_ema.ckpt: is not what training wrote; remove the folder"):
        performed(several, tmp_path)


def test_training_that_goes_back_keeps_the_same_networks_again(several, tmp_path):
    folder, _ = performed(several, tmp_path)
    before = networks(kept(folder, 3))
    for name in ("checkpoint.pt", "000004_nets_ema.ckpt", "rows.csv", "steps/000003_nets_ema.ckpt"):
        (folder / name).unlink()
    performed(several, tmp_path)
    assert equal(networks(kept(folder, 3)), before)


def test_too_few_sources_for_halves_are_refused_before_training(several, tmp_path):
    few = changed(several, evaluate={"sources": 3})
    (status,) = plan.plan(few, tmp_path)
    plan.write([status])
    message = "odd sources of bunny .train.evaluate_at or evaluate_every.: .* 2 sources of every domain, got 6 and 1"
    with pytest.raises(ValueError, match=message):
        perform(job.read(status.job.folder), CPU)
    with pytest.raises(ValueError, match=message):
        reference_lines(few, job.load_images(status.job), CPU)
    assert not (status.job.folder / "train.csv").exists()


def test_the_metric_that_chooses_has_to_be_measured(several, tmp_path):
    with pytest.raises(ValueError, match="train.best_by: kd_alexnet is not among the metrics measured, fd_alexnet, lp"):
        plan.plan(changed(several, train={"best_by": "kd_alexnet"}), tmp_path)


def test_nothing_is_missing_of_a_whole_table_alone(several, tmp_path):
    folder, table = performed(several, tmp_path)
    done = job.read(folder)
    assert steps.missing(done, table) == []
    assert steps.missing(done, table[:0]) == [*MEASURED, (4, "odd"), (4, "all")]
    assert steps.missing(done, table[table["step"] != 3])[0] == (3, "even")
