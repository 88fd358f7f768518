"""The files in docs/cluster/: the sbatch script on two emulated nodes, the cluster's YAML by Ray's own check."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pages import ROOT, commands

FILES = ROOT / "docs/cluster"
SCONTROL = """#!/bin/bash
printf '%s\\n' 10.99.0.1 10.99.0.2
"""
SRUN = """#!/bin/bash
# A node is a network namespace with processes of its own.
for node in sg2bench1 sg2bench2; do
    ip netns exec $node unshare --pid --fork --mount-proc --kill-child "$@" > $node.log 2>&1 &
    jobs+=($!)
done
worst=0
for job in "${jobs[@]}"; do wait $job || worst=$?; done
exit $worst
"""


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False).returncode == 0


@pytest.fixture
def two_nodes(tmp_path, monkeypatch):
    """Slurm's commands, and two network namespaces in the place of nodes."""
    if os.geteuid() or not shutil.which("ip") or not ip("netns", "add", "sg2bench1"):
        pytest.skip("network namespaces need root")
    try:
        assert ip("netns", "add", "sg2bench2")
        pair = "link add sg2bench1 netns sg2bench1 type veth peer name sg2bench2 netns sg2bench2"
        assert ip(*shlex.split(pair))
        for number in (1, 2):
            name = f"sg2bench{number}"
            assert ip("-n", name, "link", "set", "lo", "up")
            assert ip("-n", name, "address", "add", f"10.99.0.{number}/24", "dev", name)
            assert ip("-n", name, "link", "set", name, "up")
        for name, script in (("srun", SRUN), ("scontrol", SCONTROL)):
            (tmp_path / name).write_text(script)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        for name, value in (("JOB_ID", 7), ("JOB_NODELIST", "n[1-2]"), ("JOB_NUM_NODES", 2), ("CPUS_PER_TASK", 1)):
            monkeypatch.setenv(f"SLURM_{name}", str(value))
        yield
    finally:
        for number in (1, 2):
            ip("netns", "delete", f"sg2bench{number}")


@pytest.mark.ray
def test_the_sbatch_script_on_two_nodes(two_nodes, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_worker_niceness", "0")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    small = "seeds=[0] model.first_width=4 model.max_width=8 train.batch_size=2 evaluate.sources=3 train.steps=4"
    settings = [f"--set={setting}" for setting in small.split()]
    script = ["bash", str(FILES / "ray.sbatch"), "smoke", "--device", "cpu", *settings]
    process = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=400)
    head, worker = ((tmp_path / f"sg2bench{number}.log").read_text() for number in (1, 2))
    assert process.returncode == 0, head + worker
    assert "Head node started." in head
    assert "On worker node." in worker
    assert (tmp_path / "reports/smoke/report.html").is_file()


@pytest.mark.ray
def test_ray_accepts_the_cluster():
    util = pytest.importorskip("ray.autoscaler._private.util")
    described = yaml.safe_load((FILES / "ray-cluster.yaml").read_text())
    util.validate_config(util.prepare_config(described))


def test_the_commands_are_ours(quick_cli):
    """Of the page, of the Kubernetes job and of the cluster's YAML: experiment and options exist."""
    job = yaml.safe_load((FILES / "rayjob.yaml").read_text())
    of_cluster = next(line for line in (FILES / "ray-cluster.yaml").read_text().splitlines() if "ablate" in line)
    lines = [job["spec"]["entrypoint"], of_cluster.split(".venv/bin/")[1].rstrip("'")]
    for line in [*(shlex.split(line)[1:] for line in lines), *commands("cluster.md")]:
        process = quick_cli(*line, "--set", "nonsense=1")
        assert process.returncode == 2
        assert "unknown key `nonsense`" in process.stderr
