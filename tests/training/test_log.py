from __future__ import annotations

import pytest

from sg2bench.training.log import Log


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "train.csv")


def truncated(log, text, step):
    """The lines left of a log that held `text`, None if the file is gone."""
    log.path.write_bytes(text.encode() if isinstance(text, str) else text)
    log.truncate(step)
    return log.path.read_text() if log.path.is_file() else None


def test_the_first_line_decides_the_columns(log):
    log.append({"step": 1, "ds": 0.25, "cyc": 1 / 3})
    log.append({"step": 2, "cyc": 2e-9, "late": 7})
    assert log.path.read_text() == "step,ds,cyc\n1,0.25,0.333333\n2,,2e-09\n"


def test_all_digits_of_a_step_are_kept(log):
    log.append({"step": 1_234_567, "a": 1234567.0})
    assert log.path.read_text() == "step,a\n1234567,1.23457e+06\n"
    log.truncate(1_234_567)
    assert log.path.is_file()


def test_steps_that_will_be_trained_again_are_cut_off(log):
    whole = "step,a\n2,0.5\n4,0.5\n6,0.25\n"
    assert truncated(log, whole, 4) == "step,a\n2,0.5\n4,0.5\n"
    log.append({"step": 6, "a": 0.25})
    assert log.path.read_text() == whole
    assert truncated(log, whole, 9) == whole
    assert truncated(log, whole, 1) is None


def test_no_log_is_no_obstacle(log):
    log.truncate(3)
    assert truncated(log, "", 3) is None
    log.append({"step": 1, "a": 2})
    assert log.path.read_text() == "step,a\n1,2\n"


@pytest.mark.parametrize("torn", ["4,0.", "4", "4,0.5", "4,0.5,0.5"])
def test_a_last_line_that_a_crash_cut_off_is_dropped_silently(log, torn):
    assert truncated(log, "step,a\n1,0.5\n3,0.25\n" + torn, 9) == "step,a\n1,0.5\n3,0.25\n"


@pytest.mark.parametrize("torn", ["st", "step", "step,a,lo"])
def test_a_header_that_a_crash_cut_off_is_written_again(log, torn):
    assert truncated(log, torn, 0) is None
    log.append({"step": 1, "a": 0.5})
    assert log.path.read_text() == "step,a\n1,0.5\n"


@pytest.mark.parametrize(
    "damaged", ["2,0.5\n", "2,0.5,0.5,0.5\n", "2,x,0.5\n", "x,0.5,0.5\n", "2,inf,0.5\n", b"2,0.\xff\x00,0.5\n", "\n"]
)
@pytest.mark.parametrize("place", [1, 2])
def test_a_damaged_line_is_left_out_with_a_warning(log, damaged, place):
    header, first, second = "step,a,b\n", "1,0.5,\n", "3,0.5,4\n"
    lines = [header, first, second]
    lines.insert(place + 1, damaged)
    content = b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    with pytest.warns(UserWarning, match=r"train\.csv: damaged lines were removed; the curves have gaps"):
        assert truncated(log, content, 9) == header + first + second


def test_lines_without_their_header_are_left_out_with_a_warning(log):
    for header in ("stop,a\n", "tep,a\n", "\n"):
        with pytest.warns(UserWarning, match="damaged lines were removed"):
            assert truncated(log, header + "1,0.5\n", 9) is None
