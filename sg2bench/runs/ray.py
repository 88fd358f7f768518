"""Jobs as tasks of a Ray cluster. Ray places each on a node, and on another one if that node is lost.

A task starts the same worker as the local executor, notes its step on a board, uploads its folder if `--runs` is a URL,
and ends with the command that submitted it. Ray is an optional extra; nothing here needs torch.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sg2bench.layout import CONFIG
from sg2bench.runs import storage
from sg2bench.runs.local import GRACE_SECONDS, Command, worker_command
from sg2bench.runs.node import NOT_SHARED, Outcome, Task, digest_of, perform_task
from sg2bench.runs.status import Status
from sg2bench.version import __version__

try:
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise ValueError(f"Ray is not installed ({missing}): in a clone of sg2bench, pip install '.[ray]'") from None

if TYPE_CHECKING:
    from sg2bench.keys import Resources

_POLL_SECONDS = 0.5
_RETRIES = 20
"""Number of nodes that a run may lose before it counts as failed."""
_PATIENCE = 60
"""Seconds for the tasks of a killed command to end, and for files to become visible on the command's node."""
_ANSWER_SECONDS = 10
_NAMESPACE = "sg2bench"


class _Board:
    """The steps of running jobs, and whether they should stop, as Ray's compiled code may lose an exception from
    `ray.cancel`. As long as it lives, its name keeps other commands from the same runs.
    """

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}
        self._stops = False

    def note(self, run: str, step: int) -> bool:
        self._steps[run] = step
        return self._stops

    def steps(self) -> dict[str, int]:
        return self._steps

    def stop(self) -> None:
        self._stops = True


class RayExecutor:
    """Performs at most `workers` jobs in parallel; by default, as many as the cluster has room for.

    `device` is `cpu`, `cuda`, or `auto`: a GPU if the cluster has any. `address` is Ray's: `auto` for the cluster of
    this machine, `ray://HOST:PORT` for one elsewhere; without it, $RAY_ADDRESS, a cluster that runs here, or a new one.
    Runs are in the folder `runs`, or at the `url` of which it is a copy.
    """

    def __init__(
        self,
        runs: Path,
        device: str = "auto",
        workers: int | None = None,
        address: str | None = None,
        url: str | None = None,
        command: Command = worker_command,
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"--device {device}: Ray chooses which GPU; give cpu, cuda or auto")
        self._runs, self._device, self._workers, self._address = runs, device, workers, address
        self._url, self._command = url, command

    def perform(self, statuses: Sequence[Status]) -> Generator[None]:
        waiting = [status for status in reversed(statuses) if status.state == "waiting"]
        if waiting:
            experiment = waiting[0].job.experiment
            with _connected(self._address), _board(self._place(self._runs / experiment.name)) as board:
                device = _devices(self._device, experiment.resources)
                yield from self._perform(waiting, device, board)
        yield

    def _perform(self, waiting: list[Status], device: str, board: Any) -> Generator[None]:
        most_pending = self._workers or len(waiting)
        pending: dict[Any, Status] = {}
        try:
            while waiting or pending:
                with _uninterrupted():
                    ended, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0) if pending else ([], [])
                    for task in ended:  # before new ones are submitted, which take their places
                        self._end(pending.pop(task), task)
                    while waiting and len(pending) < most_pending:
                        status = waiting.pop()
                        pending[self._submit(status, device, board)] = status
                    _look(pending.values(), board)
                yield
                time.sleep(_POLL_SECONDS)
        except BaseException:  # the caller was stopped: stop the tasks, too
            with _uninterrupted():
                board.stop.remote()
                for task in (task for task, status in pending.items() if status.state == "waiting"):
                    ray.cancel(task)
                ray.wait(list(pending), num_returns=len(pending), timeout=GRACE_SECONDS)
            for status in pending.values():
                status.state = "waiting"
            raise

    def _submit(self, status: Status, device: str, board: Any) -> Any:
        job, resources = status.job, status.job.experiment.resources
        config = (job.folder / CONFIG).read_bytes()
        task = Task(job.name, self._place(job.folder), config, str(Path.cwd()), device, __version__)
        remote = ray.remote(_perform).options(
            name=job.name,
            num_cpus=resources.cpus,
            num_gpus=0 if device == "cpu" else resources.gpus,
            max_retries=_RETRIES,
        )
        return remote.remote(task, self._command, board)

    def _place(self, folder: Path) -> str:
        """Return the path or URL at which all nodes find a folder of this machine."""
        if self._url is None:
            return str(folder.absolute())
        return f"{self._url}/{folder.relative_to(self._runs).as_posix()}"

    def _end(self, status: Status, task: Any) -> None:
        folder = status.job.folder
        try:
            outcome: Outcome = ray.get(task)
            if self._url is not None:
                storage.download(self._place(folder), folder, large=False)
            if outcome.succeeded and not _is_visible(folder, outcome.digest):
                outcome = Outcome(False, outcome.node, f"its results are not in {folder} here; {NOT_SHARED}")
        except (RayError, OSError) as error:
            outcome = Outcome(False, reason=_why(error))
        status.reason = outcome.explanation
        status.end(outcome.succeeded)


def _perform(task: Task, command: Command, board: Any) -> Outcome:
    """Perform a job on a node."""

    def note(run: str, step: int) -> bool:
        with suppress(RayError):  # the board may be restarting
            return bool(ray.get(board.note.remote(run, step), timeout=_ANSWER_SECONDS))
        return False

    return perform_task(task, command, note)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connect to Ray, unless connected already. A cluster that this starts has no dashboard and sends no statistics."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR", "namespace": _NAMESPACE}
    try:
        if address is not None and re.fullmatch(r"[^/]+:\d+", address):
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()  # Ray itself would try for minutes
        with _uninterrupted():
            ray.init(address, **options)
    except (RuntimeError, OSError, ValueError) as error:
        where = "--executor ray" if address is None else f"--address {address}"
        raise ValueError(f"{where}: {_why(error)}") from None
    try:
        yield
    finally:
        with _uninterrupted():
            ray.shutdown()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay signals until the end of the block, as Ray's compiled code loses the exceptions of their handlers, and
    restore the handlers that Ray replaces.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda number, _: noted.append(number)) for each in numbers}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in noted[:1]:
        signal.raise_signal(number)


@contextmanager
def _board(runs: str) -> Iterator[Any]:
    """Yield the board of an experiment's runs, on this node. Raises ValueError if another command keeps it."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    named = {"name": runs, "namespace": _NAMESPACE, "num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
    until, board = time.monotonic() + _PATIENCE, None
    while board is None:
        try:
            board = ray.remote(_Board).options(**named).remote()
        except ValueError:
            if time.monotonic() > until:
                raise ValueError(f"{runs}: another command is working on these runs; wait for it, or stop it") from None
            time.sleep(1)
    try:
        yield board
    finally:
        ray.kill(board)


def _devices(device: str, resources: Resources) -> str:
    """Return the devices of a task for its worker. Warns if no node has the resources that a run needs."""
    if device == "auto":
        device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
    wanted = {"CPU": resources.cpus} | ({} if device == "cpu" else {"GPU": resources.gpus})
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(what, 0) >= count for what, count in wanted.items()) for node in nodes):
        asked = " and ".join(f"{count:g} {what}" for what, count in wanted.items())
        warnings.warn(f"no node has {asked}, which a run needs (resources); runs wait for one", stacklevel=2)
    if device == "cuda" and resources.gpus > 1:
        return ",".join(f"cuda:{index}" for index in range(int(resources.gpus)))
    return device


def _look(statuses: Iterable[Status], board: Any) -> None:
    """Take the steps from the board."""
    steps: dict[str, int] = {}
    with suppress(RayError):  # the board may be starting
        steps = ray.get(board.steps.remote(), timeout=_ANSWER_SECONDS)
    for status in statuses:
        if (step := steps.get(status.job.name)) is not None:
            note = status.look if status.state == "running" else status.start
            note(step)


def _is_visible(folder: Path, digest: str) -> bool:
    """Return whether the files of a node are visible here, too; with a network file system, that takes seconds."""
    until = time.monotonic() + _PATIENCE
    while digest_of(folder) != digest and time.monotonic() < until:
        time.sleep(1)
    return digest_of(folder) == digest


def _why(error: Exception) -> str:
    """Describe an error of Ray in one line."""
    if "No module named 'sg2bench'" in str(error):
        return "a node has no sg2bench: install sg2bench[ray], of the same version, on every node"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
