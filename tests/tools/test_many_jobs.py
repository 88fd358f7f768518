import yaml

from tools import many_jobs


def test_a_small_study_is_planned_run_and_reported(tmp_path):
    """Forty jobs in place of ten thousand; `python -m tools.many_jobs` has these."""
    file = tmp_path / "many.yaml"
    file.write_text(yaml.safe_dump(many_jobs.experiment(20, 2)))
    for phase in many_jobs.PHASES:
        found = many_jobs.measured(phase, file, 2)
        assert set(found) == {"seconds", "cpu", "mib"}
    assert "v19" in (tmp_path / "report/leaderboard.md").read_text()
    assert (tmp_path / "report/report.html").is_file()
