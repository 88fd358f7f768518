from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from sg2bench import rows
from sg2bench.config import Experiment
from sg2bench.data import critters
from sg2bench.runs import job, plan
from sg2bench.runs.local import LocalExecutor
from sg2bench.runs.perform import perform

CPU = torch.device("cpu")


def changed(experiment, **parts):
    """The experiment with keys of its parts replaced."""
    plain = experiment.model_dump(mode="json")
    for part, keys in parts.items():
        plain[part] |= keys
    return Experiment.model_validate(plain)


def states(experiment, runs):
    return [status.state for status in plan.plan(experiment, runs)]


def test_plan_has_every_variant_and_seed(tiny, tmp_path):
    experiment = Experiment.model_validate(tiny.model_dump() | {"seeds": (3, 4)})
    planned = plan.plan(experiment, tmp_path)
    assert [status.job.name for status in planned] == ["full/seed-3", "no_ds/seed-3", "full/seed-4", "no_ds/seed-4"]
    assert {status.state for status in planned} == {"waiting"}


def test_no_claim_compares_equal_trainings(tiny, tmp_path):
    """Such as after `--set loss.ds=0`, or for a typo in a variant."""
    of_ds = {"term": "ds", "variant": "no_ds", "purpose": "diverse outputs", "metric": "lpips"}
    equal = Experiment.model_validate(tiny.model_dump() | {"loss": {"ds": 0}, "claims": [of_ds]})
    with pytest.raises(ValueError, match="claims.0: no_ds and full are the same training, so nothing could be decided"):
        plan.plan(equal, tmp_path)
    assert len(plan.plan(equal.model_copy(update={"claims": ()}), tmp_path)) == 2
    for variant in ("full", "no_ds"):
        assert len(plan.plan(equal.model_copy(update={"variants": {variant: {}}}), tmp_path)) == 1


def test_a_job_survives_its_file_and_names_the_domains(tiny, tmp_path):
    for status in plan.plan(tiny, tmp_path):
        plan.write([status])
        assert job.read(status.job.folder) == status.job
        assert status.job.experiment.data.domains == ("bunny", "cat", "dog")


def test_a_job_whose_file_was_changed_is_refused(tiny, tmp_path):
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    path = status.job.folder / "config.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.0001", "learning_rate: 0.1"))
    with pytest.raises(ValueError, match="does not match the hash in its second line"):
        job.load_images(job.read(status.job.folder))


def test_a_folder_in_use_keeps_its_configuration(tiny, tmp_path):
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    before = (status.job.folder / "config.yaml").read_bytes()
    other, _ = plan.plan(changed(tiny, train={"learning_rate": 0.01}), tmp_path)
    with FileLock(status.job.folder / ".lock"):
        plan.write([status])  # the same: nothing to write
        with pytest.raises(ValueError, match="full/seed-0: another process is using this folder"):
            plan.write([other])
    assert (status.job.folder / "config.yaml").read_bytes() == before


def test_a_run_whose_configuration_another_command_changed_fails(tiny, tmp_path):
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    plan.write(plan.plan(changed(tiny, train={"learning_rate": 0.01}), tmp_path)[:1])
    executor = LocalExecutor(["cpu"], lambda *_: [sys.executable, "-c", ""])
    list(executor.perform([status]))
    assert status.state == "failed"
    assert "another command changed its configuration" in status.failure


def test_images_of_other_domains_have_other_labels(tiny, tmp_path):
    status, _ = plan.plan(tiny, tmp_path)
    job.refuse_other_domains(status.job, ("bunny", "cat", "dog"))
    with pytest.raises(ValueError, match="domains are bunny, cat, dog, but those of the images are bunny, cat, wolf"):
        job.refuse_other_domains(status.job, ("bunny", "cat", "wolf"))


def test_a_longer_training_that_never_began_locks_no_finished_run_out(tiny, tmp_path):
    tiny = changed(tiny, loss={"ds_steps": 4})
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    perform(job.read(status.job.folder), CPU)
    longer, _ = plan.plan(changed(tiny, train={"steps": 100_000}), tmp_path)
    plan.write([longer])
    planned = plan.plan(tiny, tmp_path)
    assert planned[0].state == "skipped"
    plan.write(planned)
    assert job.read(status.job.folder) == status.job
    assert [each.state for each in plan.plan(tiny, tmp_path)] == ["skipped", "waiting"]


def test_a_run_is_performed_once_and_measured_again_for_another_protocol(tiny, tmp_path, performed):
    assert {path.name for path in performed.iterdir()} == {
        *("config.yaml", "train.csv", "rows.csv", "samples", "digests.json", "times.json", "checkpoint.pt", ".lock"),
        *("000004_nets_ema.ckpt", "000004_nets.ckpt"),
    }
    assert states(tiny, tmp_path) == ["skipped", "waiting"]
    other = changed(tiny, evaluate={"outputs_per_source": 3})
    status, _ = plan.plan(other, tmp_path)
    assert status.state == "waiting"
    log = (performed / "train.csv").read_bytes()
    plan.write([status])
    perform(job.read(performed), CPU)
    assert states(other, tmp_path)[0] == "skipped"
    assert (performed / "train.csv").read_bytes() == log


@pytest.mark.parametrize(
    "damage", [lambda text: text.replace("0.", "0.1", 1), lambda text: text[: text.rindex("\ntiny")]]
)
def test_rows_that_are_not_as_they_were_written_are_measured_again(tiny, tmp_path, performed, damage):
    path = performed / "rows.csv"
    whole = rows.read(path)
    path.write_text(damage(path.read_text()))
    assert states(tiny, tmp_path)[0] == "waiting"
    perform(job.read(performed), CPU)
    assert rows.read(path)["value"].tolist() == whole["value"].tolist()


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-9])])
def test_a_picture_that_is_missing_or_damaged_is_drawn_again_without_training(tiny, tmp_path, performed, damage):
    pictures = {file: file.read_bytes() for file in (performed / "samples").iterdir()}
    assert {file.stem for file in pictures} == {"latent", "reference", "examples"}
    log, measured = ((performed / name).stat().st_mtime_ns for name in ("train.csv", "rows.csv"))
    damage(performed / "samples/examples.png")
    status, _ = plan.plan(tiny, tmp_path)
    assert status.state == "waiting"
    plan.write([status])
    perform(job.read(performed), CPU)
    assert states(tiny, tmp_path)[0] == "skipped"
    assert {file: file.read_bytes() for file in (performed / "samples").iterdir()} == pictures
    assert [(performed / name).stat().st_mtime_ns for name in ("train.csv", "rows.csv")] == [log, measured]


def test_a_measured_run_whose_networks_are_gone_is_done_without_pictures(tiny, tmp_path, performed):
    (performed / "000004_nets_ema.ckpt").unlink()
    shutil.rmtree(performed / "samples")
    assert states(tiny, tmp_path)[0] == "skipped"


def test_networks_of_an_unknown_training_are_not_taken_for_those_of_this_one(tiny, tmp_path, performed):
    """A final checkpoint alone, without what says how it was trained."""
    folder = tmp_path / "other/tiny/full/seed-0"
    folder.mkdir(parents=True)
    shutil.copy(performed / "000004_nets_ema.ckpt", folder)
    other = changed(tiny, train={"learning_rate": 0.01})
    status, _ = plan.plan(other, tmp_path / "other")
    plan.write([status])
    perform(job.read(folder), CPU)
    assert (folder / "train.csv").read_bytes() != (performed / "train.csv").read_bytes()


def test_a_folder_of_another_configuration_is_refused_with_what_changed(tiny, tmp_path, performed):
    with pytest.raises(ValueError, match=r"made with another configuration \(train.learning_rate 0.0001 → 0.01\)"):
        plan.plan(changed(tiny, train={"learning_rate": 0.01}), tmp_path)


def test_a_configuration_that_never_trained_gives_way(tiny, tmp_path):
    """As one with a wrong `start_from` that the next command corrects."""
    plan.write(plan.plan(tiny, tmp_path))
    assert states(changed(tiny, train={"learning_rate": 0.01}), tmp_path) == ["waiting", "waiting"]


def test_a_longer_training_goes_on_from_a_finished_one(tiny, tmp_path):
    short = changed(tiny, loss={"ds_steps": 4})
    for experiment, runs in (
        (short, "a"),
        (changed(short, train={"steps": 6}), "a"),
        (changed(short, train={"steps": 6}), "b"),
    ):
        status, _ = plan.plan(experiment, tmp_path / runs)
        assert status.state == "waiting"
        plan.write([status])
        perform(job.read(status.job.folder), CPU)
    longer, whole = (tmp_path / runs / "tiny/full/seed-0" for runs in "ab")
    assert rows.read(longer / "rows.csv")["value"].tolist() == rows.read(whole / "rows.csv")["value"].tolist()
    assert (longer / "train.csv").read_bytes() == (whole / "train.csv").read_bytes()
    with pytest.raises(ValueError, match="train.steps 6 → 4"):
        plan.plan(short, tmp_path / "a")


def test_a_longer_training_that_would_change_the_schedule_is_refused_with_the_remedy(tiny, tmp_path, performed):
    with pytest.raises(ValueError, match=r"\(train.steps 4 → 6\); set loss.ds_steps=4 to keep the schedule of ds"):
        plan.plan(changed(tiny, train={"steps": 6}), tmp_path)


def test_other_images_are_another_run(tiny, tmp_path):
    critters.export(tiny.data, 32, tmp_path / "set")
    experiment = changed(tiny, data={"source": "folder", "root": str(tmp_path / "set")})
    status, _ = plan.plan(experiment, tmp_path / "runs")
    plan.write([status])
    perform(job.read(status.job.folder), CPU)
    assert states(experiment, tmp_path / "runs")[0] == "skipped"
    (tmp_path / "set").rename(tmp_path / "moved")
    moved = changed(experiment, data={"root": str(tmp_path / "moved")})
    assert states(moved, tmp_path / "runs")[0] == "skipped"
    (tmp_path / "moved/train/cat/00000.png").unlink()
    with pytest.raises(ValueError, match=r"made with another configuration \(.*images \w+ → \w+\)"):
        plan.plan(moved, tmp_path / "runs")
    plan.write([status])
    (tmp_path / "moved").rename(tmp_path / "set")
    with pytest.raises(ValueError, match="the images have changed since the run was planned"):
        perform(job.read(status.job.folder), CPU)


def test_two_processes_do_not_work_in_one_folder(tiny, tmp_path):
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    with FileLock(status.job.folder / ".lock"), pytest.raises(ValueError, match="another process is using this folder"):
        perform(status.job, CPU)
    assert not (status.job.folder / "train.csv").exists()
    with (
        plan.exclusively(tmp_path),
        pytest.raises(ValueError, match="another process is working on"),
        plan.exclusively(tmp_path),
    ):
        pass


def test_a_run_whose_configuration_was_overwritten_is_no_stranger_s_folder(performed):
    checkpoint = next(performed.glob("*_nets_ema.ckpt"))
    for text in ("", "variant,metric,value\n"):
        (performed / "config.yaml").write_text(text)
        with pytest.raises(ValueError, match="config.yaml"):
            job.of_checkpoint(checkpoint)
    (performed / "digests.json").unlink()
    assert job.of_checkpoint(checkpoint) is None


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"data.train_per_domain": 7}, "data.train_per_domain 6 → 7"),
        ({"data": {"seed": 1}}, "data.seed 0 → 1"),
        ({"data.domains": ["cat", "dog"]}, r"data.domains None → \['cat', 'dog'\]"),
        ({"model.image_size": 64}, "model.image_size 32 → 64"),
        ({"model.image_size": 64, "data.seed": 1}, "data.seed 0 → 1, model.image_size 32 → 64"),
    ],
)
def test_variants_whose_rows_could_not_stand_together_are_refused(tiny, tmp_path, overrides, named):
    variants = {"full": {}, "odd": overrides}
    changing = Experiment.model_validate(tiny.model_dump() | {"variants": variants})
    with pytest.raises(ValueError, match=f"variants: full and odd differ in {named}, and so in what is measured"):
        plan.plan(changing, tmp_path)
    assert not list(tmp_path.iterdir())
    alone = changing.model_copy(update={"variants": {"odd": overrides}})
    assert states(alone, tmp_path) == ["waiting"]


def test_a_variant_may_have_the_same_images_elsewhere(tiny, tmp_path):
    for name in ("set", "copy"):
        critters.export(tiny.data, 32, tmp_path / name)
    experiment = changed(tiny, data={"source": "folder", "root": str(tmp_path / "set")})
    variants = {"full": {}, "copied": {"data.root": str(tmp_path / "copy")}}
    experiment = Experiment.model_validate(experiment.model_dump() | {"variants": variants})
    assert states(experiment, tmp_path / "runs") == ["waiting"] * 2


def test_what_a_killed_process_left_in_a_run_s_folder_is_swept(tiny, tmp_path):
    status, _ = plan.plan(tiny, tmp_path)
    plan.write([status])
    runs, folder = tmp_path / "tiny", status.job.folder
    left = [runs / ".tmp-abcd_123/x", *(folder / part / f".tmp-{'0' * 16}.ckpt" for part in ("", "samples", "steps"))]
    others = [folder / ".tmp-mine", folder / ".hidden", runs / ".tmp-abcd_123.csv"]
    for file in (*left, *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    with plan.exclusively(runs):
        pass
    perform(job.read(folder), CPU)
    assert not any(map(Path.exists, left))
    assert not left[0].parent.exists()
    assert all(map(Path.exists, others))
