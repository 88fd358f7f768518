"""Run everything that needs a GPU, unattended: `nox -s gpu`.

Tests, steps, ratios and the generator's throughput.
Writes reports/performance/gpu/; does nothing without a GPU.
"""

from __future__ import annotations

import subprocess
import sys

import torch

from tools.tables import ROOT

OUT = ROOT / "reports/performance/gpu"
TESTS = ("-m", "pytest", "-m", "gpu", "tests/gpu", "-q", "-p", "no:cacheprovider")
STEPS = ("-m", "tools.gpu_steps")
RATIOS = ("-m", "tools.ratios", "--gpu")
BENCH = ("-m", "sg2bench", "bench", "critters", "--device", "cuda", "--out", str(OUT / "bench"))


def main() -> int:
    if not torch.cuda.is_available():
        print("no GPU found: nothing was run")
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for arguments in (TESTS, STEPS, RATIOS, BENCH):  # each runs whether or not the others fail
        failed |= subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
