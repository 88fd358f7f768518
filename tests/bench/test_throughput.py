from __future__ import annotations

import json

import pandas as pd
import pytest

from sg2bench.bench import throughput
from tests.cli.test_cli import SMOKE, assert_refused


def test_every_way_is_timed_the_plain_one_first():
    found = throughput.ways(["cpu"], ["float32"], throughput.MEMORY_FORMATS, throughput.EXECUTIONS, [1, 8])
    assert found[0] == ("cpu", "float32", "contiguous", "eager", 1)
    assert len(found) == len(set(found)) == 2 * 2 * 2  # CUDA graphs need a GPU
    assert len(throughput.ways(["cuda"], ["bf16"], ["contiguous"], throughput.EXECUTIONS, [1])) == 3


def test_what_is_recommended():
    lines = [("eager", 1, 100.0, 10.0), ("eager", 8, 400.0, 20.0), ("compile", 8, 1000.0, 8.0)]
    table = pd.DataFrame(lines, columns=["execution", "batch_size", "images_per_second", "ms_per_batch"]).assign(
        device="cpu (X)", precision="float32", memory_format="contiguous", ms_p90=9.0, rounds=50
    )
    fastest, least = throughput.recommendation(table)
    assert fastest == (
        "Fastest here: cpu (X), batch 8, float32, contiguous, compile: 1000 images/s, 10.0× the default "
        "(cpu (X), batch 1, float32, contiguous, eager), 2.5× the same at that batch size."
    )
    assert least == "Lowest latency: cpu (X), batch 8, float32, contiguous, compile: 8 ms (90 % of 50 within 9 ms)."


def test_bench(cli, quick_cli, tmp_path):
    ways = ("--batch", 1, "--batch", 4, "--execution", "eager", "--precision", "float32", "--device", "cpu")
    process = cli("bench", SMOKE, *ways, "--max-seconds", 0.2)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Fastest here: cpu (" in process.stdout
    out = tmp_path / "reports/bench"
    table = pd.read_csv(out / "bench.csv")
    assert table["batch_size"].tolist() == [1, 4, 1, 4]
    assert table["memory_format"].tolist() == ["contiguous"] * 2 + ["channels_last"] * 2
    assert (table["rounds"] >= 5).all()
    expected = table["batch_size"] / table["ms_per_batch"] * 1e3
    assert table["images_per_second"].tolist() == pytest.approx(expected.tolist(), rel=1e-3)
    assert (table["ms_per_batch"] <= table["ms_p90"]).all()
    assert (table["ms_p90"] <= table["ms_p99"]).all()
    assert table["device"].str.startswith("cpu (").all()
    per_image = table.groupby("batch_size")["gflop_per_image"]  # some work is a batch's, whatever its size
    assert (per_image.nunique() == 1).all()
    at_most = table[["ceiling_gflop_per_second", "ceiling_gbyte_per_second"]]
    assert (at_most > 0).all(axis=None)
    assert json.loads((out / "bench.json").read_text())["benchmarks"]
    assert (out / "roofline.png").stat().st_size > 10_000

    again = ("bench", SMOKE, *ways, "--max-seconds", 0.1, "--compare", out / "bench.json", "--out", "again")
    process = cli(*again, PYTEST_ADDOPTS="-n 2 --maxfail=1 -k none")  # settings for pytest change nothing
    assert process.returncode == 0, process.stdout + process.stderr
    assert "(NOW)" in process.stdout
    assert quick_cli("check", "again/bench.csv", "--baseline", out / "bench.csv", "--bench", 0.99).returncode == 0
    before = (out / "bench.csv").read_bytes()
    assert_refused(cli("bench", SMOKE, *ways, "--minutes", 0), "--minutes 0 is too short")
    assert (out / "bench.csv").read_bytes() == before


def test_a_line_that_fails_leaves_the_others(cli, tmp_path):
    plain = ("--execution", "eager", "--memory-format", "contiguous", "--device", "cpu", "--precision", "float32")
    plain += ("--max-seconds", 0.1)
    assert cli("bench", SMOKE, *plain, "--batch", 1).returncode == 0
    earlier, too_large = tmp_path / "reports/bench/bench.json", 10**12
    process = cli("bench", SMOKE, *plain, "--batch", 2, "--batch", too_large, "--compare", earlier, "--out", "again")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "warning: 1 of 2 settings failed: see above" in process.stderr
    assert "left out" not in process.stdout
    assert "bench.json: has none of these settings" in process.stderr.replace("\n", "")
    assert pd.read_csv(tmp_path / "again/bench.csv")["batch_size"].tolist() == [2]
    before = earlier.read_bytes()
    assert_refused(cli("bench", SMOKE, *plain, "--batch", too_large), "all settings failed: see above")
    assert earlier.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precision", "fp8"), "--precision fp8: choose from float32, bf16"),
        (("--execution", "cuda_graph", "--device", "cpu"), "--execution cuda_graph needs a GPU"),
        (("--compare", "no.json", "--device", "cpu"), "--compare no.json: no such file"),
    ],
)
def test_bad_options_are_refused(quick_cli, arguments, message):
    assert_refused(quick_cli("bench", SMOKE, *arguments), message)
