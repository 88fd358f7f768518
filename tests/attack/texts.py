"""Experiments in YAML, result rows, logs and benches, damaged and hostile."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sg2bench import experiments, gate, rows
from sg2bench.config import Experiment
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, tabulate
from sg2bench.runs import job
from sg2bench.training.log import Log
from tests.attack.base import WORDS, Attempt, damaged


def experiments_in_yaml(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Shipped experiments with lines, keys, values and bytes changed."""
    texts = [path.read_text(encoding="utf-8") for path in experiments.shipped().values()]
    path = folder / "experiment.yaml"
    while True:
        lines = rng.choice(texts).splitlines()
        place, must_fail = rng.randrange(len(lines)), False
        way = rng.randrange(6)
        if way == 0:
            key = next(line for line in lines if line and line[0].isalpha())
            lines.append(key)
            must_fail = True
        elif way == 1:
            lines[place] = lines[place].partition(":")[0] + ": " + rng.choice(WORDS)
        elif way == 2:
            lines.insert(place, rng.choice(WORDS) + ": " + rng.choice(WORDS))
        elif way == 3:
            lines[place] = " " * rng.randrange(9) + lines[place].strip()
        elif way == 4:
            depth = rng.randrange(1, 5000)
            lines.append("deep: " + "[" * depth + "]" * depth)
            must_fail = True
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
        path.write_bytes(damaged(content, rng) if way == 5 else content)
        yield Attempt(f"yaml {way}", lambda: experiments.load(path), must_fail)


def settings(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Values of `--set`, by the keys that there are."""
    groups = Experiment(name="x").model_dump()
    keys = [f"{group}.{key}" for group, part in groups.items() if isinstance(part, dict) for key in part]
    keys += [*groups, "", ".", "a.b", "train.steps.x"]
    while True:
        text = f"{rng.choice(keys)}={rng.choice(WORDS)}"
        yield Attempt(text, lambda text=text: experiments.load("smoke", experiments.parse_settings([text])))


def result_rows(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Rows with cells, columns, lines and bytes changed; what is taken also goes through the gate."""
    path, good = folder / "results.csv", folder / "good.csv"
    table = pd.concat([_rows(seed) for seed in range(3)])
    rows.write(table, good)
    content = good.read_bytes()
    while True:
        way, must_fail = rng.randrange(5), False
        if way == 0:
            path.write_bytes(damaged(content, rng))
        elif way in (1, 2):
            changed = table.astype(object).reset_index(drop=True)
            column = rng.choice([*table.columns])
            changed.loc[rng.randrange(len(changed)), column] = rng.choice(WORDS)
            path.write_text(changed.to_csv(index=False), encoding="utf-8", errors="surrogatepass")
        elif way == 3:
            path.write_text(table.drop(columns=rng.choice([*table.columns])).to_csv(index=False), encoding="utf-8")
            must_fail = True
        else:
            text = io.StringIO()
            table.to_csv(text, index=False, sep=rng.choice(";\t|"))
            path.write_text(text.getvalue(), encoding=rng.choice(("utf-8", "utf-16", "utf-32")))
            must_fail = True
        yield Attempt(f"rows {way}", lambda: gate.compare(path, good, gate.margins()), must_fail)


def _rows(seed: int) -> pd.DataFrame:
    experiment = Experiment(name="attacked", evaluate={"outputs_per_source": 2})
    pairs = (("cat", "dog"), ("*", "dog"), ("dog", "cat"), ("*", "cat"), ("*", "*"))
    estimates = {"fd_alexnet": 50.0 + seed, "lpips": 0.25 + seed / 100}
    values = [
        Value("latent", *pair, metric, Estimate(value, {"val": np.array([0.5, -0.5])}), 6, 4)
        for metric, value in estimates.items()
        for pair in pairs
    ]
    return tabulate(values, experiment.resolve("full"), "full", seed, 4, "f" * 16, torch.device("cpu"), "c" * 16)


def logs_and_configurations(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Files of a run folder, as a crash or a hand leaves them."""
    log = b"step,ds_weight,g_latent/adv\n" + b"".join(b"%d,0.5,1.25\n" % step for step in range(10, 100, 10))
    configuration = b"# data fingerprint: %s\n# training hash: %s\n# lineage hash: %s\n" % ((b"f" * 16,) * 3)
    configuration += experiments.dump(experiments.load("smoke").resolve("full")).encode()
    while True:
        if rng.random() < 0.5:
            (folder / "train.csv").write_bytes(damaged(log, rng))
            yield Attempt("log", lambda: Log(folder / "train.csv").truncate(50))
        else:
            (folder / "config.yaml").write_bytes(damaged(configuration, rng))
            yield Attempt("configuration", lambda: job.read(folder))


def benches(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """bench.csv with cells and bytes changed."""
    good, path = folder / "bench-good.csv", folder / "bench.csv"
    shared = {"device": "cpu (X)", "threads": 2, "image_size": 32, "parameters": 9, "precision": "float32"}
    shared |= {"memory_format": "contiguous", "execution": "eager"}
    table = pd.DataFrame([shared | {"batch_size": size, "images_per_second": 100.0 * size} for size in (1, 2, 4)])
    table.to_csv(good, index=False)
    content = good.read_bytes()
    while True:
        if rng.random() < 0.5:
            path.write_bytes(damaged(content, rng))
        else:
            changed = table.astype(object)
            changed.loc[rng.randrange(3), rng.choice([*table.columns])] = rng.choice(WORDS)
            path.write_text(changed.to_csv(index=False), encoding="utf-8", errors="surrogatepass")
        yield Attempt("bench", lambda: gate.compare_throughput(path, good, 0.1))
