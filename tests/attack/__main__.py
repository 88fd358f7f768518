"""Attack everything and write docs/reliability.md: `nox -s attack`, about ten minutes on two cores."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from sg2bench import weights
from sg2bench.files import cache_folder
from sg2bench.texts import markdown_table
from tests.attack import binaries, commands, interruptions, texts
from tests.attack.base import Attack, Outcome, withstand
from tools.tables import write_table

SEED = 0
INPUTS: dict[str, tuple[Attack, int]] = {
    "experiments in YAML": (texts.experiments_in_yaml, 3000),
    "values of --set": (texts.settings, 1500),
    "result rows": (texts.result_rows, 1500),
    "bench.csv": (texts.benches, 500),
    "training logs, configurations of runs": (texts.logs_and_configurations, 1000),
    "images": (binaries.images, 3000),
    "checkpoints": (binaries.model_files, 1000),
    "caches": (binaries.caches, 300),
    "command lines": (commands.command_lines, 700),
}
INTERRUPTIONS = {"kills": (interruptions.kills, 20), "signals": (interruptions.signals, 10)}
OTHERS = {
    "full disks": (interruptions.full_disks, 4),
    "two at once": (interruptions.two_at_once, 3),
    "rows added at once": (interruptions.leaderboards, 2),
}


def inputs() -> list[Outcome]:
    outcomes = []
    for kind, (attack, tries) in INPUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(withstand(kind, attack, tries, SEED, Path(folder)))
        print(kind, outcomes[-1].tries, len(outcomes[-1].failures), flush=True)
    return outcomes


def situations(attacks: dict[str, tuple[Any, int]]) -> list[Outcome]:
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        study = interruptions.Study(Path(folder))
        for kind, (attack, tries) in attacks.items():
            outcomes.append(attack(study, tries, random.Random(f"{kind}:{SEED}")))
            print(kind, outcomes[-1].tries, len(outcomes[-1].failures), flush=True)
    return outcomes


def inputs_and_others() -> list[Outcome]:
    return inputs() + situations(OTHERS)


def main() -> None:
    start = time.monotonic()
    weights.fetch(weights.ALEXNET_LPIPS)
    with tempfile.TemporaryDirectory() as cache, ProcessPoolExecutor(2) as pool:
        os.environ |= {"SG2BENCH_WEIGHTS": str(cache_folder() / "weights"), "SG2BENCH_CACHE": cache}
        both = pool.submit(inputs_and_others), pool.submit(situations, INTERRUPTIONS)
        outcomes = [outcome for future in both for outcome in future.result()]
    lines = [
        (outcome.kind, str(outcome.tries), str(outcome.refused) if outcome.refused else "–", str(len(outcome.failures)))
        for outcome in outcomes
    ]
    minutes = (time.monotonic() - start) / 60
    table = markdown_table(("what", "tries", "refused", "failures"), lines)
    write_table("reliability.md", "attack", f"{table}\n\nSeed {SEED}, {minutes:.0f} minutes.", "nox -s attack")
    failures = [f"{outcome.kind}: {failure}" for outcome in outcomes for failure in outcome.failures]
    print("\n".join(failures[:100]))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
