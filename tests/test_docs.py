"""The commands of docs/ do what the pages say.

Those of own-model.md: cli/test_score.py; of python.md: test_api.py; of cluster.md: runs/test_cluster.py.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from sg2bench import experiments
from sg2bench import rows as row_table
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.report import blind
from sg2bench.runs import plan
from tests.cli.test_cli import SMOKE, assert_refused
from tests.pages import ROOT, blocks, commands, text

RUN_HERE = {
    "commands.md",
    "gate.md",
    "quickstart.md",
    "own-data.md",
    "reading-the-report.md",
    "extending.md",
    "performance.md",
    "protocols.md",
    "leaderboard.md",
}
RUN_ELSEWHERE = {"cluster.md", "own-model.md"}
WITHOUT_COMMANDS = {"README.md", "metrics.md", "model.md", "python.md", "reliability.md", "studies.md"}


def shortened(experiment):
    """The experiment with one step of training, and two of three domains."""
    one_step = re.sub(r"steps: \d+", "steps: 1", experiment)
    return one_step.replace("source: critters ", "domains: [cat, dog]\n  source: critters ")


def with_variants(experiment, variants):
    """The experiment with another block `variants`."""
    changed = re.sub(r"^variants:\n(  .*\n)+", lambda _: variants, experiment, flags=re.M)
    assert changed != experiment
    return changed


def test_every_page_is_run():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages == RUN_HERE | RUN_ELSEWHERE | WITHOUT_COMMANDS
    for page in pages:
        assert bool(commands(page)) == (page not in WITHOUT_COMMANDS)
        assert len(commands(page)) == len(re.findall(r"^[\s$]*sg2bench ", text(page), re.M)), "one outside an sh block"


def test_the_index_lists_every_page():
    linked = re.findall(r"^\| \[.*?\]\((.*?)\)", text("README.md"), re.M)
    assert sorted(linked) == sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")


def anchors(markdown):
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", markdown, flags=re.S), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["../README.md", *(path.name for path in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!http)(.*?)\)", text(page)):
        file, _, anchor = link.partition("#")
        target = (ROOT / "docs" / page).parent / file if file else ROOT / "docs" / page
        target = target if target.suffix else target.with_suffix(".md")
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_quickstart(in_process, tmp_path):
    experiment, added = blocks("quickstart.md", "yaml")
    assert yaml.safe_load(experiment) == yaml.safe_load(SMOKE.read_text())
    first, events, second, elsewhere, baseline, changed, check, exact = commands("quickstart.md")
    (tmp_path / "smoke.yaml").write_text(shortened(experiment))
    assert in_process(*first).returncode == 0
    assert in_process(*events).returncode == 0
    assert list((tmp_path / "runs/smoke/full/seed-0").glob("events.out.tfevents.*"))
    (tmp_path / "smoke.yaml").write_text(shortened(with_variants(experiment, added)))
    assert "6 runs, 2 to do" in in_process(*second).stdout
    assert "6 runs, 0 to do, 6 known" in in_process(*elsewhere).stdout
    assert in_process(*baseline).returncode == 0
    assert in_process(*check[:1], tmp_path / "reports/smoke/results.csv", *check[2:], "--exact", 0).returncode == 0
    assert in_process(*changed).returncode == 0
    process = in_process(*check)
    assert process.returncode in (0, 3), process.stderr  # after one step there may be nothing to find
    assert "36 pass" in process.stdout or "seeds on each side would be enough" in process.stdout
    process = in_process(*exact)
    assert process.returncode == bool(re.search(r"Regression: \d+ regression", process.stdout)), process.stderr
    assert re.search(r"\d+ pass", process.stdout)


def test_own_data(in_process, tmp_path):
    (experiment,) = blocks("own-data.md", "yaml")
    draw, fingerprint, ablate, translate = commands("own-data.md")
    (tmp_path / "mine.yaml").write_text(shortened(experiment))
    assert in_process(*draw).returncode == 0
    process = in_process(*fingerprint)
    shown = re.search(r"```\n(\w{16}\n.*?)```", text("own-data.md"), re.S).group(1)
    assert process.stdout.strip() + "\n" + process.stderr == shown
    assert in_process(*ablate).returncode == 0
    rows = row_table.read(tmp_path / "reports/mine/results.csv")
    assert set(rows["data_fingerprint"]) == {shown[:16]}
    assert set(rows["target"]) == {"cat", "dog", "*"}
    process = in_process(*(part.replace("000040", "000001") for part in translate))
    assert process.returncode == 0, process.stderr
    assert len(list((tmp_path / "translated/images/dog").iterdir())) == 2 * 10


def refused_by_own_data(page_says, process):
    assert page_says in text("own-data.md")
    assert_refused(process, page_says.removesuffix(" …"))


def test_own_data_refusals(quick_cli, tmp_path):
    def image(name):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(ord(name[-5])).save(tmp_path / name)

    def load(*settings):
        folder = ("--set", "data.source=folder", "--set", "data.root=my-images")
        return quick_cli("data", "fingerprint", SMOKE, *folder, *settings)

    image("my-images/train/cat/a.png")
    refused_by_own_data("no such folder; images are expected in …", load())
    image("my-images/val/cat/b.png")
    refused_by_own_data("translation needs at least 2 domains", load())
    image("my-images/train/dog/c.png")
    refused_by_own_data("train and val need images of the same domains", load())
    image("my-images/val/dog/d.png")
    refused_by_own_data("data.domains: my-images has no …", load("--set", "data.domains=[cat,dgo]"))
    folder = ("--set", "data.source=folder", "--set", "data.root=my-images")
    refused_by_own_data("too few images for …", quick_cli("run", SMOKE, "--variant", "full", "--seed", 0, *folder))
    os.truncate(tmp_path / "my-images/val/dog/d.png", 60)
    refused_by_own_data("not a readable image", load())
    os.truncate(tmp_path / "my-images/val/cat/b.png", 0)
    refused_by_own_data("images are not readable", load())
    (tmp_path / "my-images/val/cat/b.png").rename(tmp_path / "my-images/val/cat/b.gif")
    refused_by_own_data("holds no image", load())
    (tmp_path / "my-images/train/dog").rename(tmp_path / "my-images/train/<b>")
    refused_by_own_data("invalid domain name …", load())


def test_commands(in_process, tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    draw, translate = commands("commands.md")
    assert in_process(*draw, "--set", "data.train_per_domain=1", "--set", "data.val_per_domain=2").returncode == 0
    checkpoint = tmp_path / next(part for part in translate if part.endswith(".ckpt"))
    checkpoint.parent.mkdir(parents=True)
    experiment = experiments.load("critters")
    torch.manual_seed(0)
    saved = checkpoints.save_ema(Networks(experiment.model, 3), checkpoint.parent, 240)
    assert saved == checkpoint
    assert in_process(*translate, "--domains", "bunny,cat,dog", "--frames", 0).returncode == 0
    assert len(list((tmp_path / "translated/images/dog").iterdir())) == 2 * 3


def test_reading_the_report(quick_cli, tmp_path):
    shutil.copytree(ROOT / "reports/critters_study", tmp_path / "reports/critters_study")
    report, compare, answers = commands("reading-the-report.md")
    process = quick_cli(*report)
    assert process.returncode == 0, process.stderr
    assert "untranslated sources" in (tmp_path / "my-report/report.html").read_text()
    critters = experiments.load("critters")
    for status in plan.plan(critters, tmp_path / "runs"):
        if status.job.name in ("full/seed-0", "no_ds/seed-0"):
            plan.write([status])
            checkpoints.save_ema(Networks(critters.model, 3), status.job.folder, status.job.steps)
    assert quick_cli(*compare).returncode == 0
    assert (tmp_path / "blind.html").is_file()
    line = "0,cat/1,dog/2,full/seed-0,no_ds/seed-0,left"
    (tmp_path / answers[-1]).write_text(f"{','.join(blind.COLUMNS)}\n{line}\n")
    assert "full/seed-0" in quick_cli(*answers).stdout


def test_extending(cli, tmp_path):
    """The diffs apply to this source, and their data set, metric, network and loss term give rows."""
    for name in ("sg2bench", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for diff in blocks("extending.md", "diff"):
        subprocess.run(["git", "apply", "-"], input=diff, cwd=tmp_path, text=True, check=True)
    experiment, added = blocks("extending.md", "yaml")
    (tmp_path / "shapes.yaml").write_text(with_variants(experiment, added))
    (test,) = (command for command in commands("extending.md", "python3 -m pytest"))
    lines = [["sg2bench", *command] for command in commands("extending.md")]
    program = f"""
import sys
import pytest
from sg2bench.cli import app
assert pytest.main(["-p", "no:cacheprovider", "{test[-1]}"]) == 0
for line in {lines!r}:
    sys.argv = line
    app(standalone_mode=False)
"""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=outside | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    trained = row_table.read(tmp_path / "runs/shapes/full/seed-0/rows.csv")
    assert set(trained["target"]) == {"disc", "square", "*"}
    for file, metric in (("metric.csv", "md_alexnet"), ("network.csv", "fd_conv3")):
        rows = pd.read_csv(tmp_path / file)
        assert set(rows["metric"]) == {"fd_alexnet", metric}
        assert (rows["value"] > 0).all()
        distances = rows[rows["metric"] == "fd_alexnet"]["value"].tolist()
        assert distances == pytest.approx(trained[trained["metric"] == "fd_alexnet"]["value"].tolist())
    smooth = pd.read_csv(tmp_path / "runs/shapes/smooth/seed-0/train.csv")
    assert (smooth["g_latent/tv"] > 0).all()


def test_protocols(quick_cli, tmp_path, monkeypatch):
    """The command ends, without images and then without the Inception, in the line that tells what is missing."""
    (command,) = commands("protocols.md")
    experiment = (ROOT / "experiments/afhq.yaml").read_text()
    small = "image_size: 32\n  first_width: 4\n  max_width: 8\n  mapping_width: 8"
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/afhq.yaml").write_text(experiment.replace("image_size: 256", small))
    assert_refused(quick_cli(*command), "data/afhq/train: no such folder")
    for turn, place in enumerate(itertools.product(("train", "val"), ("cat", "dog", "wild"), "ab")):
        file = tmp_path.joinpath("data/afhq", *place).with_suffix(".png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(turn).save(file)
    nets = Networks(experiments.load(tmp_path / "experiments/afhq.yaml").model, 3)
    torch.manual_seed(0)
    checkpoints.save_ema(nets, tmp_path, 100_000)
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert_refused(quick_cli(*command), "inception_v3_google-0cc3c7bd.pth is missing", "set SG2BENCH_WEIGHTS")


def test_gate(quick_cli, tmp_path):
    for name in ("reports", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name)
    of_seeds, declared, exact, throughput, update = (quick_cli(*command) for command in commands("gate.md"))
    assert "480 pass" in exact.stdout
    for process in (of_seeds, declared, exact, throughput, update):
        assert process.returncode == 0, process.stderr
    assert "first baseline" in (tmp_path / "baselines/critters.md").read_text()


def test_the_workflow_of_gate(in_process, tmp_path):
    workflow = yaml.safe_load(next(block for block in blocks("gate.md", "yaml") if "jobs:" in block))
    lines = [step.get("run", "") for step in workflow["jobs"]["gate"]["steps"]]
    ablate, check = (shlex.split(line)[1:] for line in lines if line.startswith("sg2bench"))
    (tmp_path / "experiments").mkdir()
    mine = shortened(blocks("quickstart.md", "yaml")[0]).replace("name: smoke", "name: mine")
    (tmp_path / "experiments/mine.yaml").write_text(mine)
    assert in_process(*ablate).returncode == 0
    (tmp_path / "baselines").mkdir()
    shutil.copy(tmp_path / "reports/mine/results.csv", tmp_path / "baselines/mine.csv")
    process = in_process(*check)
    assert process.returncode == 0, process.stderr
    assert 'failures="0"' in (tmp_path / "gate.xml").read_text()


def test_performance(cli, tmp_path):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    bench, plan = commands("performance.md")
    process = cli(*plan)
    assert process.returncode == 0, process.stderr
    assert re.search(r"\d+ runs, 0 of them done", process.stdout)
    process = cli(*bench, "--batch", 1, "--execution", "eager", "--memory-format", "contiguous", "--max-seconds", 0.1)
    assert process.returncode == 0, process.stderr
    assert "Fastest here: " in process.stdout


def test_leaderboard(quick_cli, tmp_path):
    for name in ("critters_short", "emoji", "paper_ladder"):
        shutil.copytree(ROOT / "reports" / name, tmp_path / "reports" / name)
    shutil.copy(ROOT / "reports/critters_short/results.csv", tmp_path / "theirs.csv")
    ours, theirs = commands("leaderboard.md")
    process = quick_cli(*ours)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("real validation images") == 2  # critters and the ladder share protocol and images
    assert quick_cli(*theirs).returncode == 0
    assert "--variant my-model" in (tmp_path / "reports/leaderboard.html").read_text()
