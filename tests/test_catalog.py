from __future__ import annotations

import ast
from pathlib import Path

from sg2bench import catalog
from sg2bench.catalog import METRICS, PROTOCOLS
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.measures.base import Measure, measure

PACKAGE = Path(catalog.__file__).parent
WORDS_OF_OTHER_THINGS = {
    ("hashes.py", "precision"),  # train.precision, bf16 or float32
    ("bench", "precision"),
    ("cli/bench.py", "precision"),
    ("gate/throughput.py", "precision"),
    ("training", "precision"),
    ("evaluation/measures/manifold.py", "density"),  # the one share that may exceed 1
}
PREFIXES = ("fd_", "fid", "kd_", "kid", "lpips", "_inf", "fd", "kd")


def strings(path):
    """String constants of a module, docstrings and texts of several words apart."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value.strip():
            yield node.value, node.lineno


def test_no_other_module_knows_a_metric_by_name_or_by_prefix():
    known = set(METRICS) | set(PREFIXES)
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        excepted = {word for where, word in WORDS_OF_OTHER_THINGS if place == where or place.startswith(f"{where}/")}
        if place != "catalog.py":
            found += [f"{place}:{line}: {word}" for word, line in strings(path) if word in known - excepted]
    assert not found


def test_every_entry_is_whole():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert set(metric.extractor) <= set(PROTOCOLS)
        assert set(metric.extractor.values()) <= set(EXTRACTORS)
        assert issubclass(measure(metric.measure), Measure)
        assert metric.margin > 0
        assert metric.definition
        assert metric.reading
        assert metric.phrase


def test_directions_and_protocols():
    assert (catalog.METRICS["lpips"].better, catalog.METRICS["fid"].better) == ("higher", "lower")
    assert catalog.metrics_of("unknown") == ()


def test_what_is_measured_unless_others_are_asked_for():
    assert catalog.default_metrics("paper") == ("fid", "lpips")
    ours, published = set(catalog.default_metrics("offline")), set(catalog.default_metrics("standard"))
    assert ours - published == {"fd_alexnet"}
    assert published - ours == {"fid"}
    assert {METRICS[metric].question for metric in ours} == set(catalog.QUESTIONS)


def test_direction_and_sign():
    assert (METRICS["lpips"].sign, METRICS["lpips"].arrow) == (-1, "↑")
    assert (METRICS["fid"].sign, METRICS["fid"].arrow) == (1, "↓")
    assert {name for name, metric in METRICS.items() if metric.signed} == {
        "fd_alexnet_inf",
        "fid_inf",
        "kd_alexnet",
        "kid",
        "nearest_training_gap",
        "style_leak",
    }


def test_what_can_be_0_or_less_or_ends_at_1_is_compared_by_difference():
    by_ratio = {name for name, metric in METRICS.items() if metric.by_ratio}
    assert {"fd_alexnet", "fid", "lpips", "truth_l1", "position_error", "style_spread"} < by_ratio
    for name in set(METRICS) - by_ratio:
        metric = METRICS[name]
        assert metric.signed or metric.counted or metric.most == 1
