"""What an attack is, and what counts as withstood."""

from __future__ import annotations

import contextlib
import io
import random
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 10
"""For one input; more is a hang."""


class Hang(BaseException):
    """An input took too long."""


@dataclass
class Outcome:
    """Of one kind of attack: how often it was tried, and what went wrong."""

    kind: str
    tries: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Attempt:
    """One input: what it is called, and what reads it. `must_fail` if the input is wrong for certain."""

    name: str
    read: Callable[[], object]
    must_fail: bool = False
    must_pass: bool = False
    """If nothing but the same result will do."""


Attack = Callable[[random.Random, Path], Iterator[Attempt]]
"""Endless attempts; files are made in the folder."""


def withstand(kind: str, attack: Attack, tries: int, seed: int, folder: Path) -> Outcome:
    """Try inputs: each must be taken, or refused by ValueError or OSError in one line, within seconds."""
    outcome = Outcome(kind)
    attempts = attack(random.Random(f"{kind}:{seed}"), folder)
    for _ in range(tries):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt = next(attempts)
        outcome.tries += 1
        problem = _problem(attempt, outcome)
        if problem:
            outcome.failures.append(f"{attempt.name}: {problem}")
    return outcome


def _problem(attempt: Attempt, outcome: Outcome) -> str:
    output = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        warnings.simplefilter("ignore")
        try:
            with _time_limit():
                attempt.read()
        except (ValueError, OSError) as error:
            outcome.refused += 1
            text = str(error)
            if attempt.must_pass:
                return f"was refused: {text[:200]}"
            return "" if text.strip() and "\n" not in text else f"an error of several lines, or of none: {text[:200]!r}"
        except Hang:
            return f"took more than {SECONDS} s"
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:200]} ({Path(place.filename).name}:{place.lineno})"
    return "was taken" if attempt.must_fail else ""


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content cut, overwritten, repeated, or with some bytes changed."""
    place = rng.randrange(len(content) + 1)
    way = rng.randrange(6)
    if way == 0:
        return content[:place]
    if way == 1:
        return content[place:]
    if way == 2:
        return content[:place] + rng.randbytes(rng.randrange(1, 64)) + content[place:]
    if way == 3:
        return content[:place] + bytes(len(content) - place)
    if way == 4:
        return content + content[place:]
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 12)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


WORDS = (
    *("", "0", "-1", "1e400", "nan", "inf", "-inf", "true", "null", "~", "[]", "{}", "1e3", "0x10", "9" * 30, "'", '"'),
    *(
        "../../etc/passwd",
        "/dev/zero",
        "\x00",
        "\x1b[31m",
        "<script>",
        "=1+1",
        "[/x]",
        "[red]",
        "a\nb",
        "é",
        "日本",
        "\ud83d",
    ),
    *("!!python/object/apply:os.system [x]", "&a [*a]", "? [1]", "- -", "a: b: c", "%", "|", "`x`", "*", "2020-01-01"),
)
"""What people and attackers type."""
