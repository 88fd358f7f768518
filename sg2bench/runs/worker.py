"""A process that performs one job: `python -m sg2bench.runs.worker FOLDER DEVICE`.

It reads only the job's folder and ends with the process that started it. On SIGTERM or SIGINT it finishes the step,
saves and exits with 143 or 130. For several devices, such as `cuda:0,cuda:1`, torchrun starts a process each.
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
"""Seconds to wait for a worker whose command was killed: it may still finish its step and save."""
_GRACE = 100
"""The same in seconds, if torchrun is asked to end; less than executors grant torchrun itself."""


def main() -> None:
    end_with_parent()
    gc.set_threshold(100_000)  # importing torch makes a million objects and no garbage: a fifth of a run's start-up
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr, flush=True)
    folder, device = Path(sys.argv[1]), sys.argv[2]
    processes = device.count(",") + 1
    if processes > 1 and os.environ.get("LOCAL_WORLD_SIZE", "1") == "1":
        sys.exit(_start(processes))
    from sg2bench import devices, distributed  # noqa: PLC0415 (after the parent is watched)
    from sg2bench.runs import job  # noqa: PLC0415
    from sg2bench.runs.perform import Stop, perform  # noqa: PLC0415

    stop = Stop()
    try:
        with distributed.joined():
            where = distributed.together(devices.of_this_process, device)
            perform(distributed.from_first(job.read, folder), where, stop, patience=_PATIENCE)
    except (ValueError, OSError) as error:
        print(f"sg2bench: {error}", file=sys.stderr)
        sys.exit(2)


def _start(processes: int) -> int:
    """Do the job in this many processes; return the exit code of the first that fails, or 0."""
    from torch.distributed import run  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415

    os.environ |= {"PYTHONSAFEPATH": "1", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(_GRACE)}
    started = ["--standalone", "--nproc-per-node", str(processes), "-m", "sg2bench.runs.worker", *sys.argv[1:]]
    try:
        run.run(run.parse_args(started))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        return error.get_first_failure()[1].exitcode
    except SignalException as error:
        return 128 + error.sigval
    return 0


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
