from __future__ import annotations

import pytest

from tests.defects import DEFECTS


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_defect_can_still_be_planted(defect, tmp_path):
    defect.plant(tmp_path)
    planted = (tmp_path / "sg2bench" / defect.file).read_text()
    compile(planted, defect.file, "exec")
    assert defect.new in planted
