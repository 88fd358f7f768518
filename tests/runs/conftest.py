from __future__ import annotations

import pytest
import torch

from sg2bench.runs import job, plan
from sg2bench.runs.perform import perform


@pytest.fixture
def performed(tiny, tmp_path):
    """An experiment whose first run is done, and that run's folder."""
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    perform(job.read(status.job.folder), torch.device("cpu"))
    return status.job.folder
