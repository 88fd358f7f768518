"""A sample of each attack; all of them: `nox -s attack`."""

from __future__ import annotations

import pytest

from tests.attack.__main__ import INPUTS
from tests.attack.base import withstand


@pytest.mark.parametrize("kind", INPUTS)
def test_a_sample_is_withstood(kind, tmp_path):
    attack, tries = INPUTS[kind]
    outcome = withstand(kind, attack, tries // 50, 1, tmp_path)
    assert not outcome.failures
