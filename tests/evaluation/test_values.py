from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.protocol import Protocol
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, means, tabulate
from sg2bench.rows import COLUMNS


def estimate(value):
    return Estimate(value, {"val/a": np.array([0.1, -0.1])})


def test_means_of_targets_and_whole():
    values = [
        Value("latent", "a", "b", "lpips", estimate(1.0), 7, 5),
        Value("latent", "c", "b", "lpips", estimate(3.0), 7, 5),
        Value("latent", "a", "c", "lpips", estimate(5.0), 7, 5),
    ]
    found = {(v.source, v.target): v.value for v in means(values)}
    assert found == {("*", "b"): 2.0, ("*", "c"): 5.0, ("*", "*"): 3.0}


def test_a_mean_has_the_smallest_counts_of_its_pairs():
    values = [
        Value("latent", source, target, "lpips", estimate(1.0), n_real, n_fake)
        for source, target, n_real, n_fake in (("a", "b", 18, 24), ("c", "b", 18, 6), ("a", "c", 7, 24))
    ]
    for given in (values, values[::-1]):
        found = {(v.source, v.target): (v.n_real, v.n_fake) for v in means(given)}
        assert found == {("*", "b"): (18, 6), ("*", "c"): (7, 24), ("*", "*"): (7, 6)}


def test_each_row_names_the_network_and_the_hash_of_its_own_metric(tiny):
    metrics = ("fd_alexnet", "lpips", "fd_efflite0")
    values = [Value("latent", "cat", "dog", metric, estimate(1.0), 6, 4) for metric in metrics]
    table = tabulate(values, tiny, "full", 3, 4, "f" * 16, torch.device("cpu"), "c" * 16)
    assert tuple(table.columns) == COLUMNS
    assert table["extractor"].tolist() == ["alexnet", "alexnet", "efficientnet-lite0"]
    assert table["weights_sha256"].tolist() == [EXTRACTORS[name].weights_sha256 for name in table["extractor"]]
    protocol = Protocol(tiny.evaluate, 32)
    assert table["protocol_hash"].tolist() == [protocol.hash(metric) for metric in metrics]
    assert table[["ci_low", "ci_high"]].iloc[0].tolist() == pytest.approx(estimate(1.0).interval())
    other = tabulate(values, tiny, "full", 3, 4, "f" * 16, torch.device("cpu"), "c" * 16, image_size=64)
    assert (other["protocol_hash"] != table["protocol_hash"]).all()


def test_reference_lines_have_no_number_of_outputs(tiny):
    values = [Value("none", "*", "dog", "fd_alexnet", estimate(1.0), 6, 5)]
    rows = [tabulate(values, tiny, name, 0, 0, "f" * 16, torch.device("cpu"), "c" * 16) for name in ("full", "real")]
    assert [table["outputs_per_source"].iloc[0] for table in rows] == [2, None]
