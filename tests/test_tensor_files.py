from __future__ import annotations

import collections
import contextlib
import os
import resource
import time
import zipfile

import pytest
import torch

from sg2bench import tensor_files
from sg2bench.files import atomic_file

FORMATS = [{}, {"_use_new_zipfile_serialization": False}]


@contextlib.contextmanager
def disk_full_after(size):
    """No file gets longer, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("options", FORMATS)
def test_what_is_saved_is_loaded(tmp_path, options):
    content = {"a": {"b": torch.arange(6.0).view(2, 3)}, "step": 3}
    tensor_files.save(content, tmp_path / "x.pt", **options)
    loaded = tensor_files.load(tmp_path / "x.pt")
    assert loaded["step"] == 3
    assert (loaded["a"]["b"] == content["a"]["b"]).all()


@pytest.mark.parametrize("options", FORMATS)
@pytest.mark.parametrize("content", [[torch.zeros(10**6)], [torch.zeros(100) for _ in range(3000)], list(range(10**6))])
def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_one_before(tmp_path, options, content):
    path = tmp_path / "x.pt"
    path.write_text("before")
    full = pytest.raises(OSError, match=r"File too large: '.*/x\.pt'")
    with full, disk_full_after(300_000), atomic_file(path) as temporary:
        tensor_files.save(content, temporary, **options)
    assert [file.name for file in tmp_path.iterdir()] == ["x.pt"]
    assert path.read_text() == "before"


def test_what_cannot_be_a_file_of_tensors_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in ((".", "Is a directory"), ("none", "no such checkpoint"), ("pipe", "not a regular file")):
        with pytest.raises(ValueError, match=message):
            tensor_files.load(tmp_path / name)


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    torch.save({"a": 1}, tmp_path / "sound.pt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: bytearray(2**62))
    with pytest.raises(MemoryError):
        tensor_files.load(tmp_path / "sound.pt")


@pytest.mark.parametrize("options", FORMATS)
def test_a_name_of_a_class_that_goes_on_and_on_takes_no_time(tmp_path, options):
    """torch takes minutes for that."""
    torch.save({"a": collections.OrderedDict()}, tmp_path / "sound.pt", **options)
    assert tensor_files.load(tmp_path / "sound.pt") == {"a": {}}
    name = b"ccollections\nOrderedDict\n"
    long = b"ccollections\n" + b"x" * 10**6 + b"\n"
    if options:
        content = (tmp_path / "sound.pt").read_bytes()
        assert name in content
        (tmp_path / "long.pt").write_bytes(content.replace(name, long))
    else:
        with zipfile.ZipFile(tmp_path / "sound.pt") as sound, zipfile.ZipFile(tmp_path / "long.pt", "w") as changed:
            for member in sound.namelist():
                changed.writestr(member, sound.read(member).replace(name, long))
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"long.pt: not a checkpoint that can be loaded safely"):
        tensor_files.load(tmp_path / "long.pt")
    assert time.perf_counter() - start < 5


def test_a_compressed_archive_is_not_unpacked(tmp_path):
    torch.save({"a": {"b": torch.zeros(10**6)}}, tmp_path / "sound.pt")
    assert tensor_files.load(tmp_path / "sound.pt")
    with zipfile.ZipFile(tmp_path / "sound.pt") as sound, zipfile.ZipFile(tmp_path / "bomb.pt", "w", 8) as bomb:
        for name in sound.namelist():
            bomb.writestr(name, sound.read(name))
    assert torch.load(tmp_path / "bomb.pt", weights_only=True)
    with pytest.raises(ValueError, match=r"bomb.pt: not a checkpoint that can be loaded safely: .* compressed"):
        tensor_files.load(tmp_path / "bomb.pt")
