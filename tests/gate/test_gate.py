from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gmean

from sg2bench import gate, rows
from sg2bench.catalog import METRICS
from sg2bench.gate import output
from sg2bench.gate.quality import adjust, scale_sides
from tests.tables import table
from tools.power import simulate

SEEDS = 5


@pytest.fixture
def files(tiny, tmp_path):
    """Writes a baseline and results whose values are shifted by seed; returns their paths. Baseline: 50 and 0.25."""

    def write(shifts=(0.0,) * SEEDS, edit=lambda rows: rows, baseline=(0.0,) * SEEDS):
        for name, given in (("old.csv", baseline), ("new.csv", shifts)):
            made = pd.concat([table(tiny, seed=seed, shift=shift) for seed, shift in enumerate(given)])
            rows.write(edit(made) if name == "new.csv" else made, tmp_path / name)
        return tmp_path / "new.csv", tmp_path / "old.csv"

    return write


def verdicts(compared):
    """By metric, of the overall line."""
    return compared[compared["target"] == "*"].set_index("metric")["verdict"].to_dict()


def only(metric, change):
    """Changes the values of one metric by seed."""

    def edit(rows):
        shifts = rows["seed"].map(dict(enumerate(change)))
        return rows.assign(value=rows["value"] + shifts.where(rows["metric"] == metric, 0))

    return edit


def test_the_same_rows_pass(files):
    compared = gate.compare(*files(), gate.margins())
    assert len(compared) == 4
    assert gate.verdict(compared) == "pass"
    assert (compared["worse_by"] == 0).all()


def test_worse_beyond_doubt_is_a_regression_better_is_not(files):
    worse = np.array([9.0, 10.0, 11.0, 10.5, 9.5])  # of 50; the margin is 5
    assert verdicts(gate.compare(*files(edit=only("fd_alexnet", worse)), gate.margins())) == {
        "fd_alexnet": "regression", "lpips": "pass",
    }  # fmt: skip
    assert gate.verdict(gate.compare(*files(edit=only("fd_alexnet", -worse)), gate.margins())) == "pass"
    less = np.array([-0.04, -0.05, -0.06, -0.05, -0.05])  # diversity of 0.25; the margin is 0.0125
    compared = gate.compare(*files(edit=only("lpips", less)), gate.margins())
    assert verdicts(compared)["lpips"] == "regression"
    assert compared.set_index("metric").loc["lpips", "worse_by"].iloc[0] == pytest.approx(1 - gmean(0.25 + less) / 0.25)
    assert gate.verdict(gate.compare(*files(edit=only("lpips", -less)), gate.margins())) == "pass"


def test_a_little_worse_within_the_margin_passes_and_the_margin_is_one_s_own(files):
    little = np.array([2.0, 2.1, 1.9, 2.0, 2.0])
    both = files(edit=only("fd_alexnet", little))
    assert gate.verdict(gate.compare(*both, gate.margins())) == "pass"
    assert verdicts(gate.compare(*both, gate.margins({"fd_alexnet": 0.02})))["fd_alexnet"] == "regression"


def test_what_the_spread_over_seeds_leaves_open_is_inconclusive_and_says_how_many_seeds_would_do(files):
    compared = gate.compare(*files(edit=only("fd_alexnet", [9.0, -8.0, 7.0, -9.0, 4.0])), gate.margins())
    assert verdicts(compared)["fd_alexnet"] == "inconclusive"
    needed = compared.set_index("metric").loc["fd_alexnet", "seeds_needed"].iloc[0]
    assert 10 < needed < 100
    assert output.sentence(compared).endswith(
        f"{needed} seeds on each side would be enough if change and spread stay the same"
    )


def test_margins_are_shares_and_so_is_what_is_tested():
    new, old = pd.Series([2.0, 8.0]), pd.Series([1.0, 4.0])
    now, then, room = scale_sides("fd_alexnet", new, old, 0.25)
    assert (now - then).to_list() == pytest.approx([np.log(2)] * 2)  # twice as bad, whatever the seed
    assert room == pytest.approx(np.log(1.25))
    now, then, room = scale_sides("lpips", new, old, 0.25)
    assert (now - then).to_list() == pytest.approx([-np.log(2)] * 2)
    assert room == pytest.approx(np.log(1 / 0.75))
    assert scale_sides("lpips", new, old, 1.0)[2] == np.inf  # all may be lost
    now, then, room = scale_sides("fd_alexnet", new, old - 1.0, 0.1)  # zero has no logarithm
    assert ((now - then).to_list(), room) == ([2.0, 5.0], pytest.approx(0.15))
    now, then, room = scale_sides("kd_alexnet", new, old, 0.1)  # such distances may be negative, by chance
    assert ((now - then).to_list(), room) == ([1.0, 4.0], pytest.approx(0.25))


def test_what_is_shown_is_what_is_tested(files):
    compared = gate.compare(*files(edit=only("fd_alexnet", [9.0, -1.0, 7.0, 1.0, 8.0])), gate.margins())
    line = compared[compared["metric"] == "fd_alexnet"].iloc[0]
    new, old = (rows.read(path) for path in files(edit=only("fd_alexnet", [9.0, -1.0, 7.0, 1.0, 8.0])))
    chosen = [
        table[(table[gate.KEYS] == line[gate.KEYS]).all(axis=1) & (table["source"] == "*")]["value"]
        for table in (new, old)
    ]
    now, then, _ = scale_sides("fd_alexnet", *chosen, 0.1)
    assert line["worse_by"] == pytest.approx(np.expm1(now.mean() - then.mean()))


def test_a_change_about_as_large_as_the_margin_is_not_promised_a_verdict(files):
    compared = gate.compare(*files(edit=only("fd_alexnet", [9.0, -1.0, 7.0, 1.0, 8.0])), gate.margins())
    assert compared.set_index("metric").loc["fd_alexnet", "seeds_needed"].isna().all()
    assert "more than 200 seeds would be needed" in output.sentence(compared)


def test_seeds_without_a_partner_are_not_left_out(files):
    new, old = files((0.0, 0.0, 40.0, 40.0), lambda rows: rows.assign(seed=rows["seed"] + 1), (0.0, 0.1, 0.2))
    compared = gate.compare(new, old, gate.margins()).set_index("metric")
    assert not compared["paired"].any()
    assert compared.loc["fd_alexnet", "worse_by"].iloc[0] == pytest.approx(
        gmean([50, 50, 90, 90]) / gmean([50, 50.1, 50.2]) - 1
    )


def test_one_seed_is_inconclusive_even_if_equal(files):
    compared = gate.compare(*files((0.0,), baseline=(0.0,)), gate.margins())
    assert gate.verdict(compared) == "inconclusive"
    assert "one seed gives no estimate" in output.sentence(compared)


def test_seeds_that_do_not_match_are_compared_unpaired(files, tiny):
    rng = np.random.default_rng(0)
    values = 0.05 * rng.standard_normal(SEEDS)
    new, old = files(tuple(values), lambda rows: rows.assign(seed=rows["seed"] + 100), tuple(values))
    compared = gate.compare(new, old, gate.margins())
    assert not compared["paired"].any()
    assert verdicts(compared)["fd_alexnet"] == "pass"


@pytest.mark.parametrize("baseline", [5, 10])
def test_false_failures_and_power_by_simulation(baseline):
    """Two lines with a spread of 3 over five seeds and a margin of 10, the first worse by 20."""
    lines = 3.0 * np.eye(2), np.full(2, 10.0)
    for overall in (np.array([True, True]), np.array([True, False])):
        assert simulate(lines[0], overall, lines[1], np.zeros(2), 5, baseline, 300)["regression"] <= 0.01
        found = simulate(lines[0], overall, lines[1], np.array([20.0, 0.0]), 5, baseline, 100)
        assert found["regression"] >= 0.9


def test_the_means_over_all_domains_have_half_of_the_level_for_themselves():
    p, overall = np.array([0.001, 0.04, 0.002, 0.9, 0.004]), np.array([True, True, False, False, False])
    assert adjust(p, overall) == pytest.approx([2 * 2 * 0.001, 2 * 0.04, 2 * 3 * 0.002, 1, 2 * 2 * 0.004])
    assert adjust(p[:2], overall[:2]) == pytest.approx([2 * 2 * 0.001, 2 * 0.04])


def test_equality_within_a_tolerance_needs_one_seed(files):
    same = gate.compare_exactly(*files((0.0,), baseline=(0.0,)), 1e-6)
    assert gate.verdict(same) == "pass"
    for change in (0.01, -0.01):  # also for the better: nothing was to change
        other = gate.compare_exactly(*files((0.0,), only("fd_alexnet", [change]), (0.0,)), 1e-6)
        assert gate.verdict(other) == "regression"
        overall = other[other["target"] == "*"].set_index("metric")["worse_by"]
        assert overall.to_dict() == {"fd_alexnet": pytest.approx(change / 50), "lpips": 0}
    assert gate.verdict(gate.compare_exactly(*files((0.0,), only("fd_alexnet", [0.01]), (0.0,)), 1e-3)) == "pass"
    with pytest.raises(ValueError, match="has no seed 1"):
        gate.compare_exactly(*files((0.0,), baseline=(0.0, 0.0)), 1e-6)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: rows.assign(protocol_hash="0" * 16), "protocol_hash differs"),
        (lambda rows: rows.assign(data_fingerprint="0" * 16), "data_fingerprint differs"),
        (lambda rows: rows.assign(n_fake=8), r"unequal counts \(n_real, n_fake\) cannot be compared: \(6, 8\) in"),
        (lambda rows: rows.assign(n_fake=rows["seed"] + 4), "unequal counts"),
        (lambda rows: rows[rows["metric"] == "lpips"], "has no row for full / latent / fd_alexnet"),
        (lambda rows: rows[rows["source"] == "cat"], "has no rows of a model's target domains"),
        (
            lambda rows: rows.assign(experiment=np.where(rows["seed"] == 1, "other", rows["experiment"])),
            "rows of several experiments cannot be compared: other, tiny",
        ),
        (
            lambda rows: rows.assign(config_hash=np.where(rows["seed"] == 1, "d" * 16, rows["config_hash"])),
            r"full of tiny was trained with two configurations, config_hash c+ \(seed 0, 2, 3, 4\) and config_hash d",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(files, edit, message):
    with pytest.raises(ValueError, match=message):
        gate.compare(*files(edit=edit), gate.margins())


@pytest.mark.parametrize(
    ("metric", "share"), [("fd_alexnet", -1), ("fd_alexnet", float("nan")), ("fd_alexnet", 0), ("fd_alexnt", 0.1)]
)
def test_bad_margins_are_refused(metric, share):
    with pytest.raises(ValueError, match="--margin"):
        gate.margins({metric: share})


def test_margins_of_an_experiment_give_way_to_the_command_s():
    chosen = gate.margins({"fid": 0.2}, {"fid": 0.3, "lpips": 0.4})
    assert (chosen["fid"], chosen["lpips"], chosen["kid"]) == (0.2, 0.4, METRICS["kid"].margin)
    assert set(chosen) == set(METRICS)


def test_the_last_step_counts(files):
    """Rows of an earlier step, as those of quality over training, change nothing."""
    early = gate.compare(*files(edit=lambda rows: pd.concat([rows, rows.assign(step=2, value=99.0)])), gate.margins())
    assert early["worse_by"].abs().max() == 0


@pytest.fixture
def benches(tmp_path):
    def write(rates, device="cpu (X)"):
        for name, rate in (("old.csv", (100.0, 200.0)), ("new.csv", rates)):
            rows = {"device": "cpu (X)" if name == "old.csv" else device, "threads": 2, "image_size": 32}
            rows |= {"parameters": 9, "precision": "float32", "memory_format": "contiguous", "execution": "eager"}
            batches = pd.DataFrame({"batch_size": [1, 2][: len(rate)], "images_per_second": rate})
            batches.assign(**rows).to_csv(tmp_path / name, index=False)
        return tmp_path / "new.csv", tmp_path / "old.csv"

    return write


def test_throughput_by_ratio_on_the_same_device(benches):
    assert gate.verdict(gate.compare_throughput(*benches((91.0, 250.0)), 0.1)) == "pass"
    slower = gate.compare_throughput(*benches((89.0, 250.0)), 0.1)
    assert slower["verdict"].tolist() == ["regression", "pass"]
    with pytest.raises(ValueError, match="device differs"):
        gate.compare_throughput(*benches((91.0, 250.0), "cpu (Y)"), 0.1)
    with pytest.raises(ValueError, match="has no line"):
        gate.compare_throughput(*benches((91.0,)), 0.1)
    for rate in (float("nan"), 0.0, "fast"):
        with pytest.raises(ValueError, match=r"new.csv: line 3: images_per_second is not a positive number"):
            gate.compare_throughput(*benches((91.0, rate)), 0.1)
    new, old = benches((91.0, 250.0))
    pd.read_csv(old).drop(columns="execution").to_csv(old, index=False)
    with pytest.raises(ValueError, match="old.csv: column execution is missing; give a bench.csv of this version"):
        gate.compare_throughput(new, old, 0.1)
    with pytest.raises(ValueError, match="--bench nan: expected a share"):
        gate.compare_throughput(*benches((91.0, 250.0)), float("nan"))


def test_for_a_ci(files):
    worse = only("fd_alexnet", [9.0, 10.0, 11.0, 10.5, 9.5])
    compared = gate.compare(*files(edit=worse), gate.margins())
    text = output.markdown(compared)
    assert text.startswith("**Regression: 2 regression, 2 pass**")
    assert "| full | latent | fd_alexnet | * | 50 | 60 | +20.0% | regression |" in text
    suite = ET.fromstring(output.junit(compared))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "0")
    assert suite.find("testcase").get("name") == "full / latent / fd_alexnet / dog"
    assert "worse by +20.0%" in suite.find("testcase/failure").get("message")
    errors = output.github_errors(compared)
    assert len(errors) == 2
    assert errors[0].startswith(
        "::error title=sg2bench%2C full / latent / fd_alexnet / dog::worse by 20.0%: 60, baseline 50"
    )
    told = json.loads(output.as_json(compared))
    assert told["verdict"] == "regression"
    assert told["lines"][0]["value"] == pytest.approx(gmean([59, 60, 61, 60.5, 59.5]))


def test_update_baseline_keeps_its_history(files, tmp_path):
    new, old = files((1.0,) * SEEDS)
    for reason in ("a better generator", "more\nsteps"):
        gate.update_baseline(new, old, reason, "sg2bench check new.csv …")
    assert rows.read(old)["value"].tolist() == rows.read(new)["value"].tolist()
    lines = (tmp_path / "old.md").read_text().splitlines()
    assert len(lines) == 4
    assert "a better generator (30 rows, sg2bench" in lines[2]
    assert "more steps" in lines[3]


def test_a_history_in_another_encoding_is_kept(files, tmp_path):
    new, old = files((1.0,) * SEEDS)
    (tmp_path / "old.md").write_bytes(b"# cr\xe8me\n\n")
    gate.update_baseline(new, old, "größer", "sg2bench check …")
    written = (tmp_path / "old.md").read_bytes()
    assert written.startswith(b"# cr\xe8me\n\n- ")
    assert "größer".encode() in written
