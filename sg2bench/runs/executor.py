"""The interface of executors."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from sg2bench.runs.status import Status


class Executor(Protocol):
    """Performs jobs that were written into their folders."""

    def perform(self, statuses: Sequence[Status]) -> Generator[None]:
        """Perform the waiting jobs and keep all statuses up to date; yield about twice a second, and once at the end.

        A job that fails is marked so and does not affect others. Closing the generator stops the running jobs, which
        can be resumed.
        """
        ...
