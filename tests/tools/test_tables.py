import pytest

from tools.tables import replace


def test_what_stands_between_marks_is_replaced():
    page = "before\n<!-- x -->\nold\n<!-- /x -->\nafter"
    assert replace(page, "x", "new") == "before\n<!-- x -->\nnew\n<!-- /x -->\nafter"
    with pytest.raises(ValueError, match="lacks the marks <!-- y -->"):
        replace(page, "y", "new")
