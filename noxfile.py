"""`nox -s ablations` does the main job, `nox -s tests` passes the tests; arguments behind `--` go through.

All sessions share one environment, .nox/sg2bench: torch takes 6 GB and two minutes.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "typecheck"]
nox.options.default_venv_backend = "none"

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".nox" / "sg2bench"
BIN = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin")
NEARLY = ["--exact", "0.05"]  # seeds and steps are the same; another CPU rounds otherwise, and training amplifies it
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def install(session: nox.Session) -> None:
    """Make the shared environment, or bring it up to date when pyproject.toml has changed."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = ENVIRONMENT / "installed.txt"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    session.run_install(sys.executable, "-m", "virtualenv", "--clear", str(ENVIRONMENT), external=True)
    project = nox.project.load_toml(ROOT / "pyproject.toml")
    groups = nox.project.dependency_groups(project, "tests", "lint", "typecheck")
    run(session, "python", "-m", "pip", "install", "--upgrade", "pip")
    run(session, "python", "-m", "pip", "install", "--editable", ".", *groups)
    stamp.write_text(wanted)


def run(session: nox.Session, program: str, *arguments: str, **options: object) -> None:
    session.run(str(BIN / program), *arguments, external=True, **options)


@nox.session
def ablations(session: nox.Session) -> None:
    """Train and measure every variant of an experiment (default: critters) and write its report."""
    install(session)
    run(session, "sg2bench", "ablate", *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Write a report of result rows anew (default: the committed critters)."""
    install(session)
    run(session, "sg2bench", "report", *(session.posargs or ["reports/critters/results.csv"]))


@nox.session
def check(session: nox.Session) -> None:
    """Hold result rows against a baseline; without arguments, a fresh smoke experiment against its committed one."""
    install(session)
    if session.posargs:
        run(session, "sg2bench", "check", *session.posargs)
        return
    scratch = session.create_tmp()
    shutil.rmtree(scratch)
    where = ["--runs", f"{scratch}/runs", "--out", f"{scratch}/smoke"]
    run(session, "sg2bench", "ablate", "experiments/smoke.yaml", "--device", "cpu", *where)
    run(
        session,
        "sg2bench",
        "check",
        f"{scratch}/smoke/results.csv",
        "--baseline",
        "reports/baselines/smoke.csv",
        *NEARLY,
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Time the generator over batch sizes (default: critters'); `--ratios`: all that is fast beside the naive way."""
    install(session)
    if session.posargs == ["--ratios"]:
        run(session, "python", "-m", "tests.ratios", env=ONE_THREAD)
        return
    run(session, "sg2bench", "bench", *(session.posargs or ["experiments/critters.yaml"]))


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, two processes of one thread each."""
    install(session)
    run(session, "pytest", "-n2", "--dist=worksteal", "-m", "not slow", *session.posargs, env=ONE_THREAD)


@nox.session
def tests_slow(session: nox.Session) -> None:
    """The tests that take minutes: golden vectors at 256 px, second extractors."""
    install(session)
    run(session, "pytest", "-m", "slow", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Write the tables of docs/metrics.md: our values beside trusted libraries', and how often intervals hold."""
    install(session)
    run(session, "python", "-m", "tests.conformance", env=ONE_THREAD)


@nox.session
def defects(session: nox.Session) -> None:
    """Plant defects on critters and write into docs/gate.md which of them the gate catches, and how."""
    install(session)
    run(session, "python", "-m", "tests.defects", env=ONE_THREAD)


@nox.session
def leaderboard(session: nox.Session) -> None:
    """Merge result rows (default: all committed ones) into reports/leaderboard.csv, .md and .html."""
    install(session)
    committed = sorted(str(path) for path in Path("reports").glob("*/results.csv"))
    run(session, "sg2bench", "leaderboard", "add", *(session.posargs or committed))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format and the direction of imports."""
    install(session)
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "lint-imports")


@nox.session
def typecheck(session: nox.Session) -> None:
    install(session)
    run(session, "mypy")
