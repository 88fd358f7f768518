from __future__ import annotations

import copy
import zipfile

import pytest
import torch

from sg2bench.data import sets
from sg2bench.hashes import lineage_hash
from sg2bench.training import loop, resume
from sg2bench.training.state import State
from tests.test_tensor_files import disk_full_after
from tests.training.test_loop import CPU, changed, same


@pytest.fixture
def folder(tmp_path, tiny):
    """A folder with the checkpoints of steps 2 and 4, with different networks."""
    for step in (2, 4):
        resume.save(state_of(tiny, step), tmp_path, step, "hash")
    return tmp_path


def state_of(experiment, seed):
    torch.manual_seed(seed)
    return State(experiment, 3)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def zero_a_page(path):
    content = bytearray(path.read_bytes())
    page = slice(len(content) // 2, len(content) // 2 + 4096)
    content[page] = bytes(4096)
    path.write_bytes(content)


def zero_all(path):
    path.write_bytes(bytes(path.stat().st_size))


def other(path):
    torch.save([1], path)


def compressed(path):
    with zipfile.ZipFile(path) as sound:
        contents = {name: sound.read(name) + bytes(10**6) for name in sound.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, content in contents.items():
            bomb.writestr(name, content)


def test_the_last_checkpoint_is_loaded_and_the_one_before_it_kept(tiny, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-earlier.pt", "checkpoint.pt"]
    state = state_of(tiny, 0)
    assert resume.resume(state, folder, 9, "hash") == 4
    assert same(state.nets, state_of(tiny, 4).nets)


def test_without_checkpoints_nothing_is_loaded(tiny, tmp_path):
    state = state_of(tiny, 0)
    assert resume.resume(state, tmp_path, 9, "hash") == 0
    assert same(state.nets, state_of(tiny, 0).nets)


@pytest.mark.parametrize("damage", [cut, empty, zero_a_page, zero_all, other, compressed])
def test_a_damaged_checkpoint_gives_way_to_the_earlier_one(tiny, folder, damage):
    damage(folder / "checkpoint.pt")
    state = state_of(tiny, 0)
    with pytest.warns(UserWarning, match=r"checkpoint\.pt is damaged \(.+\) and ignored; training starts at step 2"):
        assert resume.resume(state, folder, 9, "hash") == 2
    assert same(state.nets, state_of(tiny, 2).nets)


@pytest.mark.parametrize("damage", [cut, empty, zero_a_page, zero_all, other, compressed])
def test_a_damaged_checkpoint_never_takes_the_place_of_a_sound_earlier_one(tiny, folder, damage):
    damage(folder / "checkpoint.pt")
    resume.save(state_of(tiny, 6), folder, 6, "hash")
    cut(folder / "checkpoint.pt")
    state = state_of(tiny, 0)
    with pytest.warns(UserWarning, match="training starts at step 2"):
        assert resume.resume(state, folder, 9, "hash") == 2
    assert same(state.nets, state_of(tiny, 2).nets)


def test_a_full_disk_leaves_both_checkpoints(tiny, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OSError, match=r"File too large: '.*checkpoint\.pt'"), disk_full_after(50_000):
        resume.save(state_of(tiny, 6), folder, 6, "hash")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("error", [PermissionError, MemoryError])
def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_damaged(tiny, folder, error, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(error):
        resume.resume(state_of(tiny, 0), folder, 9, "hash")


def test_with_both_damaged_training_starts_again(tiny, folder):
    for path in folder.iterdir():
        cut(path)
    state = state_of(tiny, 0)
    with pytest.warns(UserWarning, match="is damaged") as warned:
        assert resume.resume(state, folder, 9, "hash") == 0
    assert [str(each.message).split(" is damaged")[0] for each in warned] == [
        str(folder / name) for name in ("checkpoint.pt", "checkpoint-earlier.pt")
    ]
    assert all("training starts at step 0" in str(each.message) for each in warned)
    assert same(state.nets, state_of(tiny, 0).nets)


def test_a_crash_between_two_checkpoints_leaves_the_earlier_one(tiny, folder):
    (folder / "checkpoint.pt").unlink()
    assert resume.resume(state_of(tiny, 0), folder, 9, "hash") == 2


def test_a_checkpoint_beyond_the_last_step_is_not_taken(tiny, folder):
    state = state_of(tiny, 0)
    assert resume.resume(state, folder, 3, "hash") == 2
    assert resume.resume(state, folder, 1, "hash") == 0


def test_a_checkpoint_of_another_training_is_refused(tiny, folder):
    with pytest.raises(ValueError, match=r"checkpoint\.pt: has another configuration or other images"):
        resume.resume(state_of(tiny, 0), folder, 9, "other")


def test_a_checkpoint_of_other_networks_is_refused(tiny, folder):
    wider = changed(tiny, model={"style_dim": 6})
    with pytest.raises(ValueError, match=r"checkpoint\.pt: does not fit the networks"):
        resume.resume(State(wider, 3), folder, 9, "hash")


def test_what_is_saved_does_not_move_with_training(tiny, tmp_path):
    state = state_of(tiny, 1)
    before = copy.deepcopy(state.nets)
    resume.save(state, tmp_path, 1, "hash")
    torch.nn.init.zeros_(state.nets.generator.from_rgb.weight)
    resume.resume(state, tmp_path, 1, "hash")
    assert same(state.nets, before)


@pytest.mark.parametrize("damaged", [("checkpoint.pt",), ("checkpoint.pt", "checkpoint-earlier.pt")])
def test_a_run_with_damaged_checkpoints_ends_in_the_same_networks_and_log(tiny, tmp_path, damaged):
    images, often = sets.load(tiny.data, 32), changed(tiny, train={"save_every": 1})
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = loop.train(often, 0, images, tmp_path / "whole", CPU, "hash")
    stops = iter([False, False, True])
    with pytest.raises(loop.StoppedError):
        loop.train(often, 0, images, tmp_path / "cut", CPU, "hash", stop=lambda: next(stops))
    for name in damaged:
        cut(tmp_path / "cut" / name)
    with pytest.warns(UserWarning, match="is damaged") as warned:
        again = loop.train(often, 0, images, tmp_path / "cut", CPU, "hash")
    assert len(warned) == len(damaged)
    assert same(whole, again)
    assert (tmp_path / "whole/train.csv").read_text() == (tmp_path / "cut/train.csv").read_text()


def test_more_steps_of_a_finished_run_give_what_training_from_scratch_gives(tiny, tmp_path):
    images = sets.load(tiny.data, 32)
    short, long = (changed(tiny, loss={"ds_steps": 3}, train={"steps": steps}) for steps in (2, 4))
    for name in ("scratch", "longer"):
        (tmp_path / name).mkdir()
    lineage = lineage_hash(long, images.fingerprint, {})
    assert lineage_hash(short, images.fingerprint, {}) == lineage
    scratch = loop.train(long, 0, images, tmp_path / "scratch", CPU, lineage)
    loop.train(short, 0, images, tmp_path / "longer", CPU, lineage)
    assert same(scratch, loop.train(long, 0, images, tmp_path / "longer", CPU, lineage))
    for name in ("000004_nets.ckpt", "000004_nets_ema.ckpt"):
        ours, theirs = (torch.load(tmp_path / each / name, weights_only=True) for each in ("longer", "scratch"))
        assert all((ours[net][key] == value).all() for net in theirs for key, value in theirs[net].items())
    assert (tmp_path / "longer/train.csv").read_text() == (tmp_path / "scratch/train.csv").read_text()


def test_a_schedule_that_follows_the_steps_is_another_training(tiny):
    short, long = (changed(tiny, train={"steps": steps}) for steps in (2, 4))
    assert lineage_hash(short, "f" * 16, {}) != lineage_hash(long, "f" * 16, {})
    without = [changed(each, loss={"ds": 0}) for each in (short, long)]
    assert len({lineage_hash(each, "f" * 16, {}) for each in without}) == 1
