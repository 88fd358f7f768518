"""`nox -s ablations` does the main job, `nox -s tests` runs the tests; arguments after `--` are passed on.

Sessions share one environment, .nox/sg2bench, as torch takes 6 GB and two minutes; `lint` has a small one.
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
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
NEARLY = ["--exact", "0.05"]  # seeds and steps are the same; another CPU rounds differently, and training amplifies it
STUDIES = ["critters_study", "glyphs", "critters_gate", "critters_short", "emoji", "paper_ladder"]
SCHEMAS = {
    "github-workflows": ".github/workflows/*.yml",
    "github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "dependabot": ".github/dependabot.yml",
    "github-actions": "action.yml",
    "citation-file-format": "CITATION.cff",
}
USUAL_TESTS = ["-n2", "--dist=loadgroup", "-m", "not slow and not ray"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def environment(session: nox.Session, name: str, *requirements: str) -> Path:
    """Create the environment that sessions share, or renew it if requirements change; return its programs' folder."""
    folder = ROOT / ".nox" / name
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    wanted = hashlib.sha256(repr((requirements, PROJECT["project"])).encode()).hexdigest()
    stamp = folder / "installed.txt"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        session.run_install(sys.executable, "-m", "virtualenv", "--clear", str(folder), external=True)
        pip = [str(programs / "python"), "-m", "pip", "install"]
        session.run(*pip, "--upgrade", "pip", external=True)
        session.run(*pip, *requirements, external=True)
        stamp.write_text(wanted)
    return programs


def run(session: nox.Session, program: str, *arguments: str, **options: object) -> None:
    """Run a program of the shared environment, which has the project and all that the sessions need."""
    groups = nox.project.dependency_groups(PROJECT, "tests", "typecheck")
    programs = environment(session, "sg2bench", "--editable", ".", *groups)
    session.run(str(programs / program), *arguments, external=True, **options)


@nox.session
def ablations(session: nox.Session) -> None:
    """Train and measure every variant of an experiment (default: critters) and write its report."""
    run(session, "sg2bench", "ablate", *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Write the report of result rows again (default: those of the committed studies, and README's claims)."""
    if session.posargs:
        run(session, "sg2bench", "report", *session.posargs)
        return
    for name in STUDIES:
        run(session, "sg2bench", "report", f"reports/{name}/results.csv", "--out", f"reports/{name}")
    run(session, "python", "-m", "tools.front")


@nox.session
def check(session: nox.Session) -> None:
    """Compare result rows with a baseline; without arguments, a fresh smoke experiment with its committed one."""
    if session.posargs:
        run(session, "sg2bench", "check", *session.posargs)
        return
    scratch = session.create_tmp()
    shutil.rmtree(scratch)
    where = ["--runs", f"{scratch}/runs", "--out", f"{scratch}/smoke"]
    run(session, "sg2bench", "ablate", "smoke", "--device", "cpu", *where)
    baseline = ["--baseline", "reports/baselines/smoke.csv"]
    run(session, "sg2bench", "check", f"{scratch}/smoke/results.csv", *baseline, *NEARLY)


@nox.session
def bench(session: nox.Session) -> None:
    """Time the generator over batch sizes (default: critters).

    `--ratios` compares with the naive implementation, `--costs` measures how costs grow with sizes.
    """
    tools = {"--ratios": "tools.ratios", "--costs": "tools.cost"}
    if len(session.posargs) == 1 and (tool := tools.get(session.posargs[0])):
        run(session, "python", "-m", tool, env=ONE_THREAD)
        return
    run(session, "sg2bench", "bench", *(session.posargs or ["critters"]))


@nox.session
def gpu(session: nox.Session) -> None:
    """Run everything that needs a GPU: tests, training steps, ratios, throughput. Without a GPU, do nothing."""
    run(session, "python", "-m", "tools.gpu", env=ONE_THREAD)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite, in two processes of one thread each."""
    run(session, "pytest", *USUAL_TESTS, *session.posargs, env=ONE_THREAD)


@nox.session
def tests_slow(session: nox.Session) -> None:
    """Run the tests that take minutes: golden vectors at 256 px, second extractors."""
    run(session, "pytest", "-m", "slow", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the test suite and fail if line coverage is below the minimum in pyproject.toml."""
    run(session, "pytest", *USUAL_TESTS, "--cov", *session.posargs, env=ONE_THREAD)


@nox.session
def tests_lowest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml allows, as uv resolves them."""
    uv = environment(session, "uv", "uv") / "uv"
    resolve = [str(uv), "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--no-header", "--no-annotate"]
    oldest = session.run(*resolve, "pyproject.toml", external=True, silent=True).split()
    groups = nox.project.dependency_groups(PROJECT, "tests")
    programs = environment(session, "lowest", "--editable", ".", *oldest, *groups)
    of_torch = ["-W", "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"]  # within torch 2.11
    session.run(str(programs / "pytest"), *of_torch, *(session.posargs or USUAL_TESTS), external=True, env=ONE_THREAD)


@nox.session
def tests_ray(session: nox.Session) -> None:
    """Run the tests of the Ray executor, on a cluster of two node processes, with a local S3."""
    run(session, "python", "-m", "pip", "install", "--quiet", *nox.project.dependency_groups(PROJECT, "ray"))
    run(session, "pytest", "-m", "ray", "tests/runs", *session.posargs, env=ONE_THREAD)


@nox.session
def coordination(session: nox.Session) -> None:
    """Write the figures of docs/performance.md on what executors cost: local processes, Ray."""
    run(session, "python", "-m", "pip", "install", "--quiet", *nox.project.dependency_groups(PROJECT, "ray"))
    run(session, "python", "-m", "tools.coordination", env=ONE_THREAD)


@nox.session
def conformance(session: nox.Session) -> None:
    """Write tables of docs/metrics.md and docs/gate.md: agreement with libraries, coverage of intervals, power."""
    run(session, "python", "-m", "tools.conformance", env=ONE_THREAD)


@nox.session
def defects(session: nox.Session) -> None:
    """Plant defects on critters and write into docs/gate.md which of them the gate catches, and how."""
    run(session, "python", "-m", "tools.defects", env=ONE_THREAD)


@nox.session
def attack(session: nox.Session) -> None:
    """Try thousands of bad inputs and dozens of interruptions, and write docs/reliability.md."""
    run(session, "python", "-m", "tests.attack", env=ONE_THREAD)


@nox.session
def leaderboard(session: nox.Session) -> None:
    """Merge result rows (default: all committed ones) into reports/leaderboard.csv, .md and .html."""
    committed = [f"reports/{name}/results.csv" for name in STUDIES]
    run(session, "sg2bench", "leaderboard", "add", *(session.posargs or committed))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, spelling, the direction of imports, and files of GitHub by schema; needs no torch."""
    programs = environment(session, "lint", *nox.project.dependency_groups(PROJECT, "lint"))
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["lint-imports"], ["codespell"]):
        session.run(str(programs / command[0]), *command[1:], external=True)
    for schema, pattern in SCHEMAS.items():
        if files := [str(path) for path in sorted(ROOT.glob(pattern))]:
            by_schema = ["--builtin-schema", f"vendor.{schema}", "--default-filetype", "yaml"]
            session.run(str(programs / "check-jsonschema"), *by_schema, *files, external=True)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel in dist/, install the wheel away from the clone, and try its commands."""
    programs = environment(session, "build", *nox.project.dependency_groups(PROJECT, "build"))
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run(str(programs / "python"), "-m", "build", external=True)  # the wheel is made from the sdist
    built = sorted((ROOT / "dist").iterdir())
    session.run(str(programs / "twine"), "check", "--strict", *map(str, built), external=True)
    (wheel,) = (path for path in built if path.suffix == ".whl")
    site = Path(session.create_tmp()).resolve() / "site"
    shutil.rmtree(site, ignore_errors=True)
    run(session, "pip", "install", "--no-deps", "--target", str(site), str(wheel))
    with session.chdir(site):
        for command in (["--help"], ["experiments"], ["data", "fingerprint", "smoke"]):
            session.run(str(site / "bin" / "sg2bench"), *command, external=True, env={"PYTHONPATH": str(site)})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the docs site in build/site; a broken link or a file of another host fails. Needs no torch."""
    programs = environment(session, "docs", *nox.project.dependency_groups(PROJECT, "docs"))
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # see mkdocs.yml
    for command in (
        ["python", "-m", "tools.site"],
        ["mkdocs", "build", "--strict"],
        ["python", "-m", "tools.site", "check"],
    ):
        session.run(str(programs / command[0]), *command[1:], external=True, env=quiet)


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types."""
    run(session, "mypy")
