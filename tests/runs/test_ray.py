"""The Ray executor, on a cluster of two node processes on this machine: `nox -s tests_ray`."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import fsspec
import pandas as pd
import pytest

from sg2bench import api, rows
from tests.runs.executors import Contract, perform, statuses

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # Ray reads them once
ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

from sg2bench.runs import ray as ray_module  # noqa: E402
from sg2bench.runs.ray import RayExecutor  # noqa: E402

__all__ = ["statuses"]
pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),  # Ray leaves pipes of its processes open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the same, as pytest sees them
]
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def bucket():
    """A bucket of a local S3 server, as everybody's environment names it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            patch.setenv(f"AWS_{name}", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(scope="module")
def cluster(_own_cache, bucket):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("USAGE_STATS_ENABLED", "worker_niceness"):
            patch.setenv(f"RAY_{name}", "0")
        found = Cluster(initialize_head=True, head_node_args=NODE)
        found.add_node(**NODE)
        yield found
        found.shutdown()


def command(script):
    return lambda folder, device: [sys.executable, "-c", script, str(folder), device]


class TestRay(Contract):
    @pytest.fixture
    def make(self, cluster, tmp_path):
        return lambda script: RayExecutor(tmp_path, "cpu", 2, cluster.address, command=command(script))


SMALL = {
    **{"model.first_width": 4, "model.max_width": 8, "model.mapping_width": 8},
    **{"data.train_per_domain": 6, "data.val_per_domain": 5, "evaluate.sources": 3, "evaluate.outputs_per_source": 2},
    **{"train.batch_size": 2, "train.steps": 200, "train.log_every": 1, "train.save_every": 10, "seeds": [0]},
}
"""What makes `smoke` two short runs, long enough to be stopped after a checkpoint and before the last step."""
VARIANTS = ("full", "no_ds")


def ablate(folder, **options):
    """The rows of the report."""
    settings = SMALL | options.pop("settings", {})
    api.ablate("smoke", settings=settings, device="cpu", out=folder / "out", **{"runs": folder / "runs"} | options)
    return rows.read(folder / "out/results.csv")


def assert_same(found, expected):
    """To every digit, whenever they were made."""
    made = ["created_at", "git_commit"]
    found, expected = (each.drop(columns=made).reset_index(drop=True) for each in (found, expected))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def command_line(cluster, runs, folder, *more):
    settings = [f"--set={key}={value}" for key, value in SMALL.items()]
    place = ["--executor", "ray", "--address", cluster.address, "--runs", str(runs), "--out", str(folder / "out")]
    return [sys.executable, "-m", "sg2bench", "ablate", "smoke", "--device", "cpu", *settings, *place, *more]


@pytest.fixture(scope="module")
def expected(_own_cache, tmp_path_factory):
    """The rows of the local executor."""
    return ablate(tmp_path_factory.mktemp("local"), workers=1)


def test_rows_are_those_of_local_processes(cluster, expected, tmp_path):
    found = ablate(tmp_path, executor="ray", address=cluster.address)
    assert_same(found, expected)
    assert (tmp_path / "runs/smoke/full/seed-0/run.log").read_text().startswith("on node ")


def assert_whole(log):
    """A line for each step."""
    assert pd.read_csv(log)["step"].tolist() == list(range(1, SMALL["train.steps"] + 1))


def test_a_node_is_lost(cluster, expected, tmp_path):
    """Its run continues on the other one, from the last checkpoint that was uploaded."""
    (tmp_path / "kept").mkdir()
    after = None

    def look(statuses):
        nonlocal after
        steps = [status.step for status in statuses if status.state == "running"]
        if after is not None:
            after += steps
        elif len(steps) == 2 and all((tmp_path / f"kept/smoke/{v}/seed-0/checkpoint.pt").exists() for v in VARIANTS):
            cluster.remove_node(next(node for node in cluster.worker_nodes), allow_graceful=False)
            after = []

    try:
        runs = f"file://{tmp_path}/kept"
        found = ablate(tmp_path, executor="ray", address=cluster.address, runs=runs, progress=look)
    finally:
        cluster.add_node(**NODE)
    assert_same(found, expected)
    assert min(after) >= SMALL["train.save_every"]
    for variant in VARIANTS:
        assert_whole(tmp_path / f"kept/smoke/{variant}/seed-0/train.csv")


def test_the_command_is_killed(cluster, bucket, expected, tmp_path):
    """The same command continues from the checkpoints in the bucket; one that is told to end saves before."""
    kept = fsspec.filesystem("s3")
    line = command_line(cluster, f"{bucket}/runs", tmp_path)
    checkpoint = f"{bucket}/runs/smoke/full/seed-0/checkpoint.pt"

    def saved():
        """Return the time of the last upload; None before the first, and while an upload replaces the file."""
        kept.invalidate_cache()
        with suppress(FileNotFoundError):
            return kept.info(checkpoint)["LastModified"]
        return None

    for how, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        earlier = saved()
        process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while process.poll() is None and saved() in (None, earlier):
            time.sleep(0.2)
        process.send_signal(how)
        said = process.communicate()[0]
        assert process.returncode == code, said
    kept.get_file(f"{bucket}/runs/smoke/full/seed-0/run.log", str(tmp_path / "run.log"))
    assert "stopped; the same command resumes from here" in (tmp_path / "run.log").read_text()
    process = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    started = [line.split()[2] for line in process.stdout.splitlines() if line.split()[1:2] == ["running"]]
    assert all(int(step.split("/")[0]) >= SMALL["train.save_every"] for step in started), process.stdout
    assert_same(rows.read(tmp_path / "out/results.csv"), expected)
    for variant in VARIANTS:
        folder = f"{bucket}/runs/smoke/{variant}/seed-0"
        assert not kept.exists(f"{folder}/checkpoint-earlier.pt")
        assert kept.exists(f"{folder}/samples/latent.png")
        kept.get_file(f"{folder}/train.csv", str(tmp_path / "train.csv"))
        assert_whole(tmp_path / "train.csv")


@contextmanager
def another_node(cluster, **environment):
    """A node of four cores, with other variables in its environment."""
    node = cluster.add_node(**NODE | {"num_cpus": 4, "env_vars": environment})
    try:
        yield
    finally:
        cluster.remove_node(node)


WITHOUT_PACKAGE = """
import sys

class Finder:
    def find_spec(name, *_):
        if name.split(".")[0] == "sg2bench":
            raise ModuleNotFoundError("No module named 'sg2bench'")

sys.meta_path.insert(0, Finder)
"""


def failures(cluster, folder, **settings):
    """Of a run that only a node of four cores can take."""
    settings = {"resources.cpus": 4, "variants": {"full": {}}} | settings
    with pytest.raises(api.FailedRunsError) as error:
        ablate(folder, settings=settings, executor="ray", address=cluster.address)
    return str(error.value)


def test_a_node_lacks_the_package(cluster, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_PACKAGE)
    with another_node(cluster, PYTHONPATH=str(tmp_path)):
        assert "full/seed-0 failed: a node has no sg2bench: install" in failures(cluster, tmp_path)


def test_a_node_lacks_the_weights(cluster, tmp_path):
    nothing = {name: str(tmp_path / "nothing") for name in ("SG2BENCH_CACHE", "SG2BENCH_WEIGHTS")}
    with another_node(cluster, SG2BENCH_OFFLINE="1", **nothing):
        log = tmp_path / "runs/smoke/full/seed-0/run.log"
        assert failures(cluster, tmp_path) == f"full/seed-0 failed: see its log in {log.parent}"
        assert "is missing" in log.read_text()


def test_no_node_has_what_a_run_takes(cluster, statuses, tmp_path):
    (status,) = statuses(1)
    resources = status.job.experiment.resources.model_copy(update={"cpus": 64})
    status.job = replace(status.job, experiment=status.job.experiment.model_copy(update={"resources": resources}))
    performing = RayExecutor(tmp_path, "cpu", 2, cluster.address).perform([status])
    with pytest.warns(UserWarning, match="no node has 64 CPU"):
        next(performing)
    performing.close()
    assert status.state == "waiting"


def test_another_command_is_performing_the_runs(cluster, statuses, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_module, "_PATIENCE", 0)
    one, other = (RayExecutor(tmp_path, "cpu", 2, cluster.address, command=command("print()")) for _ in range(2))
    performing = one.perform(statuses(1))
    next(performing)
    with pytest.raises(ValueError, match="tiny: another command is working on these runs; wait for it, or stop it"):
        perform(other, statuses(1))
    performing.close()


def test_no_cluster_at_the_address(tmp_path, statuses):
    with pytest.raises(ValueError, match="^--address 127.0.0.1:1: "):
        perform(RayExecutor(tmp_path, "cpu", address="127.0.0.1:1"), statuses(1))
