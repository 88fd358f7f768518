"""Run folders in storage: here `file://`; S3 in test_ray.py."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from sg2bench.files import is_intact, write_digests
from sg2bench.runs import storage
from sg2bench.runs.status import last_step


@pytest.fixture
def url(tmp_path):
    (tmp_path / "kept").mkdir()
    return f"file://{tmp_path}/kept/run"


def train(folder, step):
    """What a run leaves at a step, in the order in which it does."""
    folder.mkdir(exist_ok=True)
    with (folder / "train.csv").open("a") as log:
        log.write("" if log.tell() else "step,x\n")
        log.write(f"{step},1\n")
    if (folder / "checkpoint.pt").exists():
        (folder / "checkpoint.pt").replace(folder / "checkpoint-earlier.pt")
    (folder / "checkpoint.pt").write_text(str(step))
    (folder / "rows.csv").write_text(f"rows of {step}")
    write_digests(folder, ["rows.csv"])


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_is_a_url():
    assert storage.is_url("s3://bucket/runs")
    assert not storage.is_url("runs")
    assert not storage.is_url("/runs/s3:")


def test_a_folder_comes_back(url, tmp_path):
    upload = storage.Upload(tmp_path / "a", url)
    train(tmp_path / "a", 10)
    (tmp_path / "a/samples").mkdir()
    (tmp_path / "a/samples/latent.png").write_bytes(b"png")
    for name in (".lock", ".tmp-0123456789abcdef.pt"):
        (tmp_path / "a" / name).touch()
    upload.push()
    storage.download(url, tmp_path / "b")
    whole = {"train.csv", "checkpoint.pt", "rows.csv", "digests.json", "samples/latent.png"}
    assert names(tmp_path / "b") == whole
    storage.download(url, tmp_path / "c", large=False)
    assert names(tmp_path / "c") == whole
    assert (tmp_path / "c/checkpoint.pt").read_text() == ""
    assert (tmp_path / "c/rows.csv").read_text() == "rows of 10"


def test_what_came_down_is_not_uploaded_again(url, tmp_path, monkeypatch):
    train(tmp_path / "kept/run", 10)
    storage.download(url, tmp_path / "a")
    upload = storage.Upload(tmp_path / "a", url)
    assert not upload.is_due
    sent = []
    put = LocalFileSystem.put_file
    monkeypatch.setattr(LocalFileSystem, "put_file", lambda *a, **k: (sent.append(a[2].split("/")[-1]), put(*a, **k)))
    (tmp_path / "a/samples").mkdir()
    (tmp_path / "a/samples/latent.png").touch()
    upload.push()
    assert sent == ["latent.png"]
    train(tmp_path / "a", 20)
    assert upload.is_due
    upload.push()
    assert sorted(sent[1:3]) == ["rows.csv", "train.csv"]
    assert sent[3:] == ["checkpoint.pt", "digests.json"]
    assert not upload.is_due


def test_training_has_ended(url, tmp_path):
    """The earlier checkpoint is then removed, there as here."""
    upload = storage.Upload(tmp_path / "a", url)
    for step in (10, 20):
        train(tmp_path / "a", step)
        upload.push()
    assert (tmp_path / "kept/run/checkpoint-earlier.pt").read_text() == "10"
    (tmp_path / "a/checkpoint-earlier.pt").unlink()
    upload.push()
    assert not (tmp_path / "kept/run/checkpoint-earlier.pt").exists()


class Killed(BaseException):
    pass


def cut_off(patch, count, kept, writes_torn):
    """Have the process be killed after so many operations on the storage."""

    def limited(operation, act):
        def performed(self, *names, **options):
            nonlocal count
            count -= 1
            if count < 0:
                if writes_torn and operation == "put_file":
                    Path(kept, Path(names[1]).name).write_text("")
                raise Killed
            return act(self, *names, **options)

        return performed

    for name in ("put_file", "mv", "rm_file"):
        patch.setattr(LocalFileSystem, name, limited(name, getattr(LocalFileSystem, name)))


@pytest.mark.parametrize("writes_torn", [False, True])
@pytest.mark.parametrize("operations", range(6))
def test_a_cut_off_upload_is_harmless(operations, writes_torn, url, tmp_path, monkeypatch):
    """Also where an object may be half written: there is a checkpoint, which the log reaches if it is whole, and what
    the digests call intact is.
    """
    upload = storage.Upload(tmp_path / "a", url)
    train(tmp_path / "a", 10)
    upload.push()
    train(tmp_path / "a", 20)
    with monkeypatch.context() as patch:
        cut_off(patch, operations, tmp_path / "kept/run", writes_torn)
        with pytest.raises(Killed) if operations < 5 else nullcontext():
            upload.push()
    storage.download(url, folder := tmp_path / "b")
    found = [folder / "checkpoint.pt", folder / "checkpoint-earlier.pt"]
    steps = [int(path.read_text()) for path in found if path.exists() and path.read_text()]
    assert steps == ([20, 10] if operations >= 4 else [10])
    assert max(steps) <= last_step(folder) or (writes_torn and (folder / "train.csv").read_text() == "")
    assert is_intact(folder, "rows.csv") == ((folder / "rows.csv").read_text() == f"rows of {noted(folder)}")


def noted(folder):
    """The step whose rows the digests are of."""
    digest = json.loads((folder / "digests.json").read_text() or '{"sha256": {"rows.csv": ""}}')["sha256"]["rows.csv"]
    return {hashlib.sha256(f"rows of {step}".encode()).hexdigest(): step for step in (10, 20)}.get(digest)


def test_the_copy_on_this_machine(url, tmp_path):
    runs = url.removesuffix("/run")
    train(tmp_path / "kept/tiny", 10)
    with storage.local_folder(f"{runs}/", "tiny") as here:
        assert names(here / "tiny") == {"train.csv", "checkpoint.pt", "rows.csv", "digests.json"}
        with pytest.raises(ValueError, match="another process is using it"), storage.local_folder(runs, "tiny"):
            pass
    (tmp_path / "kept/tiny/rows.csv").unlink()
    with storage.local_folder(runs, "tiny") as again:
        assert again == here
        assert "rows.csv" not in names(here / "tiny")
    with storage.local_folder(tmp_path / "runs", "tiny") as folder:
        assert folder == tmp_path / "runs"


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ("file:///proc/runs", "file:///proc/runs/tiny: "),
        ("nope://x/runs", "nope://x/runs/tiny: Protocol not known: nope"),
    ],
)
def test_storage_that_cannot_be_used(runs, said):
    with pytest.raises(OSError, match=said), storage.local_folder(runs, "tiny"):
        pass
