from __future__ import annotations

from dataclasses import replace

import pytest

from sg2bench.catalog import METRICS, PROTOCOLS, metrics_of
from sg2bench.config import Evaluate
from sg2bench.evaluation.extractors import EXTRACTORS, AlexNet
from sg2bench.evaluation.protocol import Protocol


def hashes(size=32, **evaluate):
    """The hash of every metric that the protocol has."""
    protocol = Protocol(Evaluate(**evaluate), size)
    return {metric: protocol.hash(metric) for metric in metrics_of(protocol.name)}


def changed(first, second):
    return {metric for metric in first if first[metric] != second[metric]}


def of_network(protocol, network):
    return {metric for metric in metrics_of(protocol) if METRICS[metric].extractor[protocol] == network}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_metrics_and_modes_do_not_change_a_hash(protocol):
    one, other = {"metrics": ("lpips",), "modes": ("latent",)}, {"metrics": metrics_of(protocol)}
    assert hashes(protocol=protocol, **one) == hashes(protocol=protocol, **other)


def test_a_new_network_changes_no_other_hash(monkeypatch):
    before = hashes()

    class Other(AlexNet):
        weights_sha256 = "f" * 64

    monkeypatch.setitem(EXTRACTORS, "other", Other)
    monkeypatch.setitem(
        METRICS, "fd_other", replace(METRICS["fd_alexnet"], name="fd_other", extractor={"offline": "other"})
    )
    after = hashes()
    assert changed(before, after) == set()
    assert after["fd_other"] not in before.values()


def test_other_weights_change_the_hashes_of_their_network_alone(monkeypatch):
    before = hashes()
    monkeypatch.setattr(AlexNet, "weights_sha256", "f" * 64)
    of_alexnet = of_network("offline", "alexnet") | of_network("offline", "alexnet-layers")
    assert changed(before, hashes()) == of_alexnet
    assert "fd_efflite0" not in of_alexnet


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", ["sources", "outputs_per_source", "seed"])
def test_counts_and_seed_change_every_hash(protocol, key):
    before = hashes(protocol=protocol)
    assert changed(before, hashes(protocol=protocol, **{key: 9})) == set(before)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_size_of_the_images_changes_every_hash(protocol):
    before = hashes(protocol=protocol)
    assert changed(before, hashes(size=64, protocol=protocol)) == set(before)


def test_a_resize_changes_the_hashes_of_networks_that_are_resized(monkeypatch):
    has_its_own_size = replace(METRICS["fid"], name="fid_offline", extractor={"offline": "inception-v3-compat"})
    monkeypatch.setitem(METRICS, "fid_offline", has_its_own_size)
    before = hashes(resize=64)
    resized = {name for name in before if EXTRACTORS[METRICS[name].extractor["offline"]].resizes}
    assert changed(before, hashes(resize=65)) == resized
    assert {"fd_alexnet", "domain_accuracy"} <= resized <= set(before) - {"fid_offline", "truth_l1", "angle_error"}
    for protocol in ("standard", "paper"):
        assert hashes(protocol=protocol, resize=64) == hashes(protocol=protocol)


def test_the_batch_changes_the_hashes_of_the_paper_s_protocol_alone():
    for protocol in PROTOCOLS:
        before = hashes(protocol=protocol)
        expected = set(before) if protocol == "paper" else set()
        assert changed(before, hashes(protocol=protocol, batch_size=7)) == expected


def test_raw_outputs_and_8_bit_images_have_different_hashes(monkeypatch):
    protocol = Protocol(Evaluate(protocol="paper"), 32)
    raw = protocol.hash("lpips")
    assert protocol.sees_raw_outputs("lpips")
    monkeypatch.setitem(METRICS, "lpips", replace(METRICS["lpips"], raw=frozenset()))
    assert not protocol.sees_raw_outputs("lpips")
    assert protocol.hash("lpips") != raw


def test_protocols_share_no_hash():
    by_protocol = [set(hashes(protocol=protocol).values()) for protocol in PROTOCOLS]
    assert len(set.union(*by_protocol)) == sum(map(len, by_protocol))


def test_metrics_of_one_network_on_the_same_images_share_their_hash():
    offline = hashes()
    assert offline["fd_alexnet"] == offline["kd_alexnet"] == offline["lpips"] != offline["fd_efflite0"]


@pytest.mark.parametrize("name", ["offline", "paper"])
def test_halves_of_the_sources_are_protocols_that_nothing_else_is_compared_with(name):
    evaluate = Evaluate(protocol=name)
    parts = {part: Protocol(evaluate, 32, part) for part in ("all", "even", "odd")}
    assert [each.title for each in parts.values()] == [name, f"{name}, even sources", f"{name}, odd sources"]
    assert len({each.hash("lpips") for each in parts.values()}) == 3
    assert parts["all"].hash("lpips") == Protocol(evaluate, 32).hash("lpips")
