"""What performs jobs, wherever that is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from sg2bench.runs.status import Status


class Executor(Protocol):
    """Performs jobs, each written into its folder before."""

    def perform(self, statuses: Sequence[Status]) -> Generator[None]:
        """Perform the waiting jobs and keep all statuses up to date; yield about twice a second, and once at the end.

        A job that fails is marked so and takes no other down. Closing the generator stops the jobs that are running,
        which then can be resumed.
        """
        ...
