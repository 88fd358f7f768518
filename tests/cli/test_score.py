"""`sg2bench score` as a user would: the worked example of docs/own-model.md, and fakes from files."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from sg2bench import config, experiments
from sg2bench import rows as row_table
from sg2bench.catalog import default_metrics
from sg2bench.data import critters, sets
from sg2bench.evaluation.guidance import guide
from sg2bench.evaluation.outputs import style_codes, to_uint8, translate
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from tests.cli.test_cli import assert_refused

DOCS = Path(__file__).parents[2] / "docs/own-model.md"
EXPERIMENT = """
data: {source: folder, root: real}
model: {image_size: 32, first_width: 4, max_width: 8, style_dim: 5, latent_dim: 3, mapping_width: 8}
evaluate: {resize: 64, outputs_per_source: 2, sources: 3, modes: [latent]}
"""


def test_files_give_the_rows_that_the_model_gives(quick_cli, tmp_path):
    """Outputs of a model as PNG: same values, protocol hash and data fingerprint as `evaluate` of its checkpoint."""
    critters.export(config.Data(train_per_domain=6, val_per_domain=3, domains=("cat", "dog")), 32, tmp_path / "real")
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT.replace("root: real", f"root: {tmp_path / 'real'}"))
    experiment = experiments.load(tmp_path / "tiny.yaml")
    torch.manual_seed(0)
    nets = Networks(experiment.model, 2).eval()
    checkpoint = checkpoints.save_ema(nets, tmp_path, 10)
    found = sets.load(experiment.data, 32)
    for (source, target), given in guide(found, experiment.evaluate, "latent", 3).items():
        styles = style_codes(nets, found, given, target, 32, 32)
        outputs = to_uint8(torch.cat(list(translate(nets, found, source, given, styles, 32, 32))))
        folder = tmp_path / f"fakes/{source}2{target}"
        folder.mkdir(parents=True)
        for index, output in enumerate(outputs):
            file = folder / f"{index // 2:05d}_{index % 2 + 1}.png"
            Image.fromarray(output.permute(1, 2, 0).numpy()).save(file)
    for command in (
        ("evaluate", checkpoint, "--experiment", "tiny.yaml", "--out", "model.csv"),
        ("score", "--real", "real", "--fake", "fakes", "--experiment", "tiny.yaml", "--out", "files.csv"),
    ):
        process = quick_cli(*command)
        assert process.returncode == 0, process.stderr
    model, files = (row_table.read(tmp_path / name) for name in ("model.csv", "files.csv"))
    made_by = ["step", "config_hash", "created_at"]
    pd.testing.assert_frame_equal(model.drop(columns=made_by), files.drop(columns=made_by))
    assert files["ci_low"].notna().all()


def test_files_with_their_references_are_compared_with_the_right_images(quick_cli, tmp_path):
    """The right images themselves, and then untranslated sources, of critters in a folder."""
    critters.export(config.Data(train_per_domain=6, val_per_domain=3, domains=("cat", "dog")), 32, tmp_path / "real")
    found, lines = critters.load(config.Data(train_per_domain=6, val_per_domain=3, domains=("cat", "dog")), 32), []
    for source, target in (("cat", "dog"), ("dog", "cat")):
        for name in ("right", "sources"):
            (tmp_path / name / f"{source}2{target}").mkdir(parents=True)
        for index in range(3):
            for number, reference in enumerate((index, (index + 1) % 3), 1):
                file = f"{source}2{target}/{index:05d}_{number}.png"
                found.truth(source, index, target, reference).save(tmp_path / "right" / file)
                found.image("val", source, index).save(tmp_path / "sources" / file)
                lines.append(f"{file},{reference:05d}.png")
    values = []
    for name in ("right", "sources"):
        (tmp_path / name / "references.csv").write_text("\n".join(["file,reference", *lines]))
        settings = "evaluate.metrics=[truth_l1,truth_lpips,lpips]"
        process = quick_cli("score", "--real", "real", "--fake", name, "--set", settings, "--out", f"{name}.csv")
        assert process.returncode == 0, process.stderr
        rows = row_table.read(tmp_path / f"{name}.csv")
        assert set(rows["mode"]) == {"reference"}
        values.append(row_table.overall(rows).set_index("metric")["value"])
    assert (values[0][["truth_l1", "truth_lpips"]] == 0).all()
    assert values[1]["truth_l1"] > 20
    latent = quick_cli("score", "--real", "real", "--fake", "right", "--mode", "latent")
    assert_refused(latent, "references.csv in right")


def test_the_worked_example_of_the_docs(cli, tmp_path):
    text = DOCS.read_text()
    writing, source = re.findall(r"```python\n(.*?)```", text, re.S)
    (tmp_path / "my_model.py").write_text(source)
    (tmp_path / "write_fakes.py").write_text(writing)
    commands = [shlex.split(line)[1:] for line in re.findall(r"^sg2bench .*$", text, re.M)]
    drawing, of_files, of_function = commands
    assert cli(*drawing).returncode == 0
    subprocess.run([sys.executable, "write_fakes.py"], cwd=tmp_path, check=True)
    process = cli(*of_files)
    assert process.returncode == 0, process.stderr
    assert set(row_table.read(tmp_path / "rows.csv")["variant"]) == {"my-model"}
    process = cli(*of_function)
    assert process.returncode == 0, process.stderr
    rows = row_table.read(tmp_path / "rows.csv")
    in_both_modes = rows[rows["metric"].isin(["fd_alexnet", "lpips"])]
    assert len(in_both_modes) == 2 * 2 * (6 + 3 + 1)
    assert set(rows["metric"]) == set(default_metrics("offline"))  # the drawn critters have all that they need
    assert (rows["n_fake"] == 24).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fake", "fakes", "--translator", "a:b"), "either --fake DIR or --translator"),
        ((), "either --fake DIR or --translator"),
        (("--fake", "fakes", "--mode", "odd"), "--mode odd: expected latent or reference"),
        (("--fake", "nowhere"), "--fake nowhere: no such folder"),
        (("--translator", "math:sqrt", "--mode", "latent"), "--mode is for --fake"),
        (("--fake", "fakes", "--out", "real/cat/a.png/rows.csv"), "--out real/cat/a.png/rows.csv: "),
        (("--translator", "math:sqrt"), "a translator needs validation images"),
        (("--fake", "fakes", "--set", "evaluate.metrics=[fdi]"), "has no fdi"),
        (("--fake", "fakes", "--protocol", "odd"), "expected offline, standard, paper"),
        (
            ("--fake", "fakes"),
            "cat → dog: too few images for fd_alexnet, which needs 2 real images and 2 sources of every domain",
        ),
    ],
)
def test_wrong_use_is_refused(quick_cli, tmp_path, arguments, message):
    for name in ("real/cat/a", "real/cat/b", "real/dog/a", "real/dog/b", "fakes/cat2dog/a_1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((32, 32)).save(tmp_path / f"{name}.png")
    process = quick_cli("score", "--real", "real", *arguments)
    assert_refused(process, message)
    assert not (tmp_path / "rows.csv").exists()
