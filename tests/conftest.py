from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import hypothesis
import pytest
import torch

from sg2bench import weights
from sg2bench.cli import main
from sg2bench.config import Experiment
from sg2bench.files import cache_folder
from sg2bench.layout import REPORT_FILES
from sg2bench.runs import job
from sg2bench.runs.local import LocalExecutor
from sg2bench.runs.perform import perform

torch.set_num_threads(1)
hypothesis.settings.register_profile("sg2bench", deadline=None)  # a busy machine is no defect
hypothesis.settings.load_profile("sg2bench")


def pytest_collection_modifyitems(items):
    """Run the longest tests first, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: "golden_training" not in item.nodeid)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """A separate cache for the session; pretrained files and trained probes are the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SG2BENCH_WEIGHTS", os.environ.get("SG2BENCH_WEIGHTS") or str(cache_folder() / "weights"))
        for file in (weights.ALEXNET_LPIPS, weights.EFFICIENTNET_LITE0):
            weights.fetch(file)
        (probes := cache_folder() / "probes").mkdir(parents=True, exist_ok=True)
        (cache := tmp_path_factory.mktemp("cache")).joinpath("probes").symlink_to(probes.resolve())
        patch.setenv("SG2BENCH_CACHE", str(cache))
        yield


@pytest.fixture
def tiny():
    """An experiment that trains in a second."""
    return Experiment(
        name="tiny",
        data={"train_per_domain": 6, "val_per_domain": 5},
        model={
            "image_size": 32,
            "first_width": 4,
            "max_width": 8,
            "style_dim": 5,
            "latent_dim": 3,
            "mapping_width": 8,
        },
        train={"steps": 4, "batch_size": 2, "log_every": 1, "save_every": 2},
        evaluate={"metrics": ["fd_alexnet", "lpips"], "resize": 64, "sources": 3, "outputs_per_source": 2},
        variants={"full": {}, "no_ds": {"loss.ds": 0}},
    )


@pytest.fixture
def quick_cli(tmp_path, monkeypatch, capsys):
    """As `cli`, but within this process, which saves the seconds of the imports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sg2bench", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture
def cli(tmp_path):
    """Runs `sg2bench ARGUMENTS` as a user would, in an empty folder; returns the finished process."""

    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "sg2bench", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=outside | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"} | environment,
        )

    return run


@pytest.fixture
def in_process(quick_cli, monkeypatch):
    """As `quick_cli`; the runs of an experiment, too, are performed within this process.

    Without the page of the report, whose plots take seconds: see `test_reading_the_report`.
    """

    def perform_all(self, statuses):
        for status in statuses:
            if status.state == "waiting":
                perform(job.read(status.job.folder), torch.device("cpu"))
                status.state = "done"
        yield

    monkeypatch.setattr(LocalExecutor, "perform", perform_all)

    def write(results, out, _):
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(results, out)
        (out / REPORT_FILES).write_text("results.csv\n")

    monkeypatch.setattr("sg2bench.report.write.write", write)
    monkeypatch.setattr("sg2bench.cli.ablate.print_report", lambda _: None)
    return quick_cli
