from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sg2bench import devices

OLDER = (torch.get_float32_matmul_precision, lambda: torch.backends.cudnn.allow_tf32)
NEWER = (
    *(torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn),
    *(torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv, torch.backends.mkldnn.rnn),
)


@pytest.fixture
def gpus(monkeypatch):
    """Has torch see so many GPUs."""

    def seen(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    return seen


def test_auto_is_a_gpu_where_there_is_one(gpus):
    gpus(2)
    assert devices.device("auto") == torch.device("cuda")
    assert devices.device("cuda:1") == torch.device("cuda:1")
    gpus(0)
    assert devices.device("auto") == devices.device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("gpu", 0, "--device gpu: expected cpu, cuda, cuda:N or auto"),
        ("cuda:x", 1, "--device cuda:x: expected cpu, cuda, cuda:N or auto"),
        ("cuda", 0, "--device cuda: torch sees no CUDA devices; use --device cpu"),
        ("cuda:2", 2, "--device cuda:2: torch sees 2 CUDA devices"),
    ],
)
def test_a_device_that_is_not_there_is_refused(gpus, name, number, message):
    gpus(number)
    with pytest.raises(ValueError, match=message):
        devices.device(name)


def test_runs_share_gpus_in_turn_or_take_a_core_each(gpus, monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 3)
    gpus(2)
    assert devices.slots("auto", None) == ["cuda:0", "cuda:1"]
    assert devices.slots("cuda", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices.slots("cuda:1", None) == ["cuda:1"]
    assert devices.slots("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert devices.slots("auto", None, gpus=0.5) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert devices.slots("auto", None, gpus=0.3) == ["cuda:0", "cuda:1"] * 3
    assert devices.slots("auto", 3, gpus=0.5) == ["cuda:0", "cuda:1", "cuda:0"]
    assert devices.slots("cpu", None) == ["cpu"] * 3
    assert devices.slots("cpu", 2) == ["cpu"] * 2
    for workers in (0, -1):
        with pytest.raises(ValueError, match=f"--workers {workers}: expected 1 or more"):
            devices.slots("cpu", workers)


def test_a_run_of_several_gpus_is_given_whole_ones(gpus):
    gpus(5)
    assert devices.slots("auto", None, gpus=2) == ["cuda:0,cuda:1", "cuda:2,cuda:3"]
    assert devices.slots("cuda", 1, gpus=4) == ["cuda:0,cuda:1,cuda:2,cuda:3"]
    with pytest.raises(
        ValueError, match="resources.gpus: a run takes 6 GPUs, but --device auto has 5; set it to 5 or less"
    ):
        devices.slots("auto", None, gpus=6)
    with pytest.raises(ValueError, match="a run takes 2 GPUs, but --device cuda:1 has 1"):
        devices.slots("cuda:1", None, gpus=2)


@pytest.mark.parametrize(
    ("names", "number", "expected"),
    [
        ("auto", 2, "cuda:1"),
        ("cuda", 3, "cuda:1"),
        ("cuda:2,cuda:0", 3, "cuda:0"),
        ("auto", 0, "cpu"),
        ("cpu", 2, "cpu"),
        ("cpu,cpu", 0, "cpu"),
    ],
)
def test_each_process_of_torchrun_takes_a_device(gpus, monkeypatch, names, number, expected):
    gpus(number)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert devices.of_this_process(names) == torch.device(expected)


def test_more_processes_than_devices_are_refused(gpus, monkeypatch):
    gpus(2)
    assert devices.of_this_process("cuda:1") == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    for names, there in (("auto", "2 devices"), ("cuda:1", "1 device")):
        message = f"--device {names}: {there} for the 4 processes that torchrun started on this machine; use"
        with pytest.raises(ValueError, match=message):
            devices.of_this_process(names)


def test_there_is_a_core_and_the_processor_has_a_name():
    assert devices.cores() >= 1
    assert devices.full_name(torch.device("cpu")).startswith("cpu (")


def precisions():
    return [setting.fp32_precision for setting in NEWER]


def test_float32_is_float32_within_the_block_and_what_it_was_after_it():
    before = precisions(), [read() for read in OLDER]
    with devices.true_float32():
        assert set(precisions()) == {"ieee"}
        assert [read() for read in OLDER] == ["highest", False]
        with devices.true_float32():
            assert set(precisions()) == {"ieee"}
        assert set(precisions()) == {"ieee"}
    assert (precisions(), [read() for read in OLDER]) == before


def test_settings_are_given_back_after_an_error():
    before = precisions()

    @devices.true_float32()
    def fail():
        assert set(precisions()) == {"ieee"}
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert precisions() == before


SETTINGS = [
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.set_float32_matmul_precision('medium')",
    *(
        pytest.param(setting, marks=pytest.mark.slow)
        for setting in (
            "torch.set_float32_matmul_precision('high')",
            "torch.backends.cuda.matmul.allow_tf32 = True",
            "torch.backends.cudnn.allow_tf32 = False",
            "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
            "torch.backends.fp32_precision = 'tf32'",
        )
    ),
]
SCRIPT = """
import torch
from sg2bench.devices import true_float32
from tests.test_devices import precisions
def older():
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None
{setting}
before = precisions(), older()
with true_float32():
    assert set(precisions()) == {{"ieee"}}, precisions()
    assert older() == "highest"
assert (precisions(), older()) == before, (precisions(), older(), before)
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_the_user_s_code_has_set_is_overridden_and_given_back(setting):
    """In a separate process: once torch's older and newer settings differ, they cannot be made to agree again."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT.format(setting=setting)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
