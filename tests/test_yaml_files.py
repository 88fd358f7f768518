from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sg2bench import experiments, yaml_files
from sg2bench.config import Data

LETTERS = "abcdefghijklmnopqrstuvw"
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in itertools.pairwise(LETTERS))
WORDS = st.text(st.characters(categories=("L", "N", "P", "S")), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False) | WORDS
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(WORDS, v, max_size=3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {steps: 1}\ntrain: {}", "line 2, column 1: `train` appears twice"),
        ("train:\n  steps: 1\n  steps: 2", "line 3, column 3: `steps` appears twice"),
        ("variants: {a: {loss.ds: 0, loss.ds: 1}}", "line 1, column 28: `loss.ds` appears twice"),
        ("a: !!timestamp x", "line 1, column 4: values of the type `timestamp` are not allowed"),
        (
            "a: !!python/object/apply:os.system [x]",
            "values of the type `python/object/apply:os.system` are not allowed",
        ),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        ("a: &a [*a]", "too many entries"),
        (BOMB, "too many entries"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: [", "line 1, column 5"),
        ("a: 1\n---\nb: 2", "line 2, column 1: but found another document"),
    ],
)
def test_what_is_refused_at_once_with_its_line(tmp_path, text, message):
    start = time.monotonic()
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"e.yaml: cannot be read as YAML: .*") as error:
        yaml_files.read(tmp_path / "e.yaml")
    assert message in str(error.value)
    assert time.monotonic() - start < 1


def test_other_files_are_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: M\xfcller".encode("latin-1"))
    (tmp_path / "large.yaml").write_text("# " + "x" * 2_000_000)
    for name, message in (
        ("latin.yaml", "not text in UTF-8"),
        ("large.yaml", "larger than"),
        ("none.yaml", "no such file"),
    ):
        with pytest.raises(ValueError, match=f"{name}: .*{message}"):
            yaml_files.read(tmp_path / name)


@pytest.mark.parametrize(("place", "kind"), [("/dev/zero", "a device or pipe"), ("/", "a folder")])
def test_what_is_no_file_is_not_read(place, kind):
    with pytest.raises(ValueError, match=f"{place}: {kind}, not a file"):
        yaml_files.read(Path(place))


def test_words_and_numbers():
    text = "{no: yes, on: off, 0: 007, d: 2020-01-01, t: 1:30, n: ~, f: 1e-4, g: .5, i: -5, h: 0x1F, q: '1e3'}"
    assert yaml_files.parse(text) == {
        **{"no": "yes", "on": "off", "0": "007", "d": "2020-01-01", "t": "1:30", "n": None},
        **{"f": 1e-4, "g": 0.5, "i": -5, "h": "0x1F", "q": "1e3"},
    }


def test_anchors_and_merges():
    assert yaml_files.parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a")["b"] == {"x": 1, "y": 3}


@given(VALUES)
@example({"0E0": "1e3", "no": "007", "<<": "", "1:30": "0x1F", "~": "2020-01-01"})
def test_what_is_written_is_read_back(value):
    assert yaml_files.parse(yaml_files.dump(value)) == value


@given(VALUES)
def test_what_is_written_means_the_same_to_readers_of_yaml_1_1(value):
    assert yaml.safe_load(yaml_files.dump(value)) == value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.steps=true"], "train.steps: expected a number, got true"),
        (["train.learning_rate='1e3'"], "train.learning_rate: expected a number, got '1e3'"),
        (["train.learning_rate=.inf"], "train.learning_rate: "),
        ([f"seeds=[{'9' * 30}]"], "seeds.0: "),
        (["seeds=[true]"], "seeds.0: "),
        (["data.train_per_domain=100000000"], "data.train_per_domain: "),
        (["margins={fid: .inf}"], "margins.fid: "),
        (["train.steps=1", "train.steps=2"], "--set train.steps=2: train.steps is given already"),
        (["train={steps: 1}", "train.steps=2"], "--set train.steps=2: train is given already"),
        (["train={steps: 1, steps: 2}"], "`steps` appears twice"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ValueError, match="--set") as error:
        experiments.load(None, experiments.parse_settings(settings))
    assert message in str(error.value)


@pytest.mark.parametrize("group", ["data", "model", "loss", "train", "evaluate", "resources"])
def test_a_group_of_keys_changes_only_those_that_it_names(group):
    plain = experiments.load("critters_study").model_dump(mode="json")[group]
    key = next(key for key in plain if isinstance(plain[key], int | float))
    loaded = experiments.load("critters_study", experiments.parse_settings([f"{group}={{{key}: {plain[key]}}}"]))
    assert loaded.model_dump(mode="json")[group] == plain
    before = {"resources.cpus": 3, "resources": {"gpus": 0.25}}
    assert experiments.load(None, before).resources.cpus == 3


def test_what_is_wrong_is_shown_and_whether_the_file_or_a_setting_may_be_at_fault(tmp_path):
    (tmp_path / "e.yaml").write_text("train: {steps: 0}")
    for settings, where in ({}, "e.yaml: "), ({"loss.ds": 2}, "e.yaml with --set loss.ds: "):
        with pytest.raises(ValueError, match=rf"{where}train.steps: Input should be greater .*, got 0$"):
            experiments.load(tmp_path / "e.yaml", settings)


def test_names_that_look_like_values():
    loaded = experiments.load(None, experiments.parse_settings(["data.domains=[no, 0]", "variants={on: {}, 1e3: {}}"]))
    assert loaded.data.domains == ("no", "0")
    assert set(loaded.variants) == {"on", "1e3"}


def test_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Data(source="folder", root="~/images").root == tmp_path / "images"
