"""Everything that needs a GPU, unattended: `nox -s gpu`. Tests, ratios and the generator's throughput.

Writes reports/performance/gpu/; does nothing where there is no GPU.
"""

from __future__ import annotations

import subprocess
import sys

import torch

from tools.tables import ROOT

OUT = ROOT / "reports/performance/gpu"
TESTS = ("-m", "pytest", "-m", "gpu", "tests/gpu", "-q", "-p", "no:cacheprovider")
RATIOS = ("-m", "tools.ratios", "--gpu")
BENCH = ("-m", "sg2bench", "bench", "critters", "--device", "cuda", "--out", str(OUT / "bench"))


def main() -> int:
    if not torch.cuda.is_available():
        print("there is no GPU here: nothing was run")
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for arguments in (TESTS, RATIOS, BENCH):  # each says what it finds, whatever became of the others
        failed |= subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
