"""A process that performs one job: `python -m sg2bench.runs.worker FOLDER DEVICE`.

It reads nothing but the job's folder, ends with the process that started it, and on SIGTERM or SIGINT finishes the
step, saves and exits with 143 or 130.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

_PATIENCE = 60
"""Seconds: a worker whose command was killed finishes its step and saves, and may still be at it."""


def main() -> None:
    end_with_parent()
    gc.set_threshold(100_000)  # importing torch makes a million objects and no garbage: a fifth of a run's start-up
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr, flush=True)
    from sg2bench import devices  # noqa: PLC0415 (after the parent is watched)
    from sg2bench.runs import job  # noqa: PLC0415
    from sg2bench.runs.perform import Stop, perform  # noqa: PLC0415

    folder, device = Path(sys.argv[1]), sys.argv[2]
    stop = Stop()
    try:
        perform(job.read(folder), devices.device(device), stop, patience=_PATIENCE)
    except (ValueError, OSError) as error:
        print(f"sg2bench: {error}", file=sys.stderr)
        sys.exit(2)


def end_with_parent() -> None:
    """Send this process SIGTERM when its parent ends: at once on Linux, within a second elsewhere."""
    parent = os.getppid()
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
