"""Plant defects in copies of sg2bench, train with them, and write the gate's verdicts into docs/gate.md.

`nox -s defects`, about two hours on 2 cores: 15 runs of critters_gate, and 15 evaluations of trained networks. The
defect "R1 dropped" is not trained again: it is the variant `no_r1` of critters_study.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sg2bench import experiments, gate, rows, texts
from sg2bench.catalog import METRICS
from sg2bench.files import cache_folder
from sg2bench.layout import RESULTS, ROWS
from tools.power import BASELINE_SEEDS, EXPERIMENT, LAST_STEPS
from tools.tables import ROOT, write_table

_SOURCE = b"".join(path.read_bytes() for path in sorted((ROOT / "sg2bench").rglob("*.py")))
SCRATCH = ROOT / "runs" / "defects" / hashlib.sha256(_SOURCE).hexdigest()[:12]
"""Folder for this version of the code: runs of other versions are not continued."""
SEEDS = range(5, BASELINE_SEEDS)
"""Seeds with a defect. The baseline's others are known from critters_study."""
KNOWN = ROOT / "reports" / "critters_study" / RESULTS


@dataclass(frozen=True)
class Defect:
    """One edit of one file; `trained` if it affects training, not only the evaluation of intact networks. If a variant
    of critters_study does the same, `known` names it.
    """

    name: str
    file: str
    old: str
    new: str
    trained: bool = False
    known: str = ""

    def plant(self, folder: Path) -> None:
        """Copy the package into a folder, including this defect."""
        shutil.rmtree(folder / "sg2bench", ignore_errors=True)
        shutil.copytree(ROOT / "sg2bench", folder / "sg2bench", ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / "sg2bench" / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, (
            f"{self.name}: `{self.old}` occurs {text.count(self.old)} times in {self.file}"
        )
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


DEFECTS = (
    Defect(
        "no moving average (EMA off)", "training/state.py", "get_ema_multi_avg_fn(train.ema_decay)",
        "get_ema_multi_avg_fn(0.0)", trained=True,
    ),
    Defect("sign of ds flipped", "training/step.py", '{"ds": (-ds_weight,', '{"ds": (ds_weight,', trained=True),
    Defect("R1 dropped", "training/step.py", "    if loss.r1:\n", "    if False:\n", trained=True, known="no_r1"),
    Defect("AdaIN's gamma and beta swapped", "models/blocks.py", "gamma, beta = self.fc", "beta, gamma = self.fc"),
    Defect(
        "labels shifted by one", "evaluation/outputs.py", "label = images.domains.index(target)",
        "label = (images.domains.index(target) + 1) % len(images.domains)",
    ),
    Defect(
        "statistics of another domain", "evaluation/evaluator.py", "[extractor][originals.target]",
        "[extractor][originals.source]",
    ),
)  # fmt: skip


def ablate(package: Path, runs: Path, seeds: Iterable[int], *options: str) -> Path:
    """Train (unless trained before) and evaluate with the package in a folder; return the path of the rows."""
    where = ["--runs", str(runs), "--out", str(runs / "report"), "--device", "cpu"]
    settings = ["--set", f"seeds={list(seeds)}", "--set", "train.compile=true"]  # as critters_study
    command = [sys.executable, "-m", "sg2bench", "ablate", str(ROOT / f"experiments/{EXPERIMENT}.yaml")]
    subprocess.run(
        [*command, *settings, *where, *options],
        check=True,
        cwd=package,
        env=os.environ
        | {"PYTHONPATH": str(package), "SG2BENCH_CACHE": str(SCRATCH / "cache"), "OMP_NUM_THREADS": "1"}
        | {"SG2BENCH_WEIGHTS": os.environ.get("SG2BENCH_WEIGHTS", str(cache_folder() / "weights"))},
    )
    return runs / "report" / RESULTS


def rows_with(defect: Defect, sound: Path) -> Path:
    """Return the rows of the package with a defect; if it does not affect training, those of the intact networks."""
    folder = SCRATCH / f"{defect.name.replace(' ', '-')}-{hashlib.sha256(repr(defect).encode()).hexdigest()[:8]}"
    if defect.known:
        of_study = rows.read(KNOWN)
        found = of_study[of_study["variant"] == defect.known].assign(experiment=EXPERIMENT, variant="full")
        rows.write(found, folder / RESULTS)
        return folder / RESULTS
    defect.plant(folder)
    runs = folder / "runs"
    if not defect.trained:
        shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(sound, runs, ignore=shutil.ignore_patterns(ROWS, "report"))
    return ablate(folder, runs, SEEDS)


def caught_by(compared: pd.DataFrame) -> str:
    """Name the metrics and modes with a regression, and how much worse their mean over all domains is."""
    found = []
    for (metric, mode), lines in compared.groupby(["metric", "mode"], sort=False):
        bad = (lines["verdict"] == gate.REGRESSION).sum()
        worse = lines[lines["target"] == "*"]["worse_by"].mean()
        by = f"{worse:+.2g} absolute" if METRICS[str(metric)].absolute else f"{worse:+.0%}"
        if bad:
            found.append(f"{metric} {mode} {by} ({bad} of {len(lines)} lines)")
    return ", ".join(found) or "–"


def main() -> None:
    sound = SCRATCH / "none" / "runs"
    baseline = ablate(ROOT, sound, range(BASELINE_SEEDS), "--known", str(KNOWN))
    shares = gate.margins(declared=experiments.load(EXPERIMENT).margins)
    lines = []
    for defect in DEFECTS:
        compared = gate.compare(rows_with(defect, sound), baseline, shares, LAST_STEPS)
        shows = "training" if defect.trained else "evaluation"
        lines.append((defect.name, shows, gate.verdict(compared), caught_by(compared)))
        print(*lines[-1], sep=" | ", flush=True)
    heads = ("defect", "shows in", "verdict", "caught by")
    write_table("gate.md", "defects", texts.markdown_table(heads, lines), "nox -s defects")


if __name__ == "__main__":
    main()
