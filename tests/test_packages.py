from __future__ import annotations

import functools
import http.server
import io
import os
import sys
import tarfile
import threading
import zipfile

import pytest

from sg2bench import packages
from sg2bench.files import sha256

MEMBER = "net/weights.bin"
CONTENT = b"parameters" * 100


def add(archive, name, content=b"", **kind):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in kind.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index in a folder, as the only one, with a source archive that would leave a mark if it were built."""
    place = tmp_path / "index/small-net"
    place.mkdir(parents=True)
    with tarfile.open(place / "small_net-1.0.tar.gz", "w:gz") as archive:
        marked = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
        add(archive, "small_net-1.0/setup.py", marked)
        add(archive, "small_net-1.0/pyproject.toml", b"[build-system]\nrequires = ['setuptools']\n")
        add(archive, f"small_net-1.0/{MEMBER}", CONTENT)
    with zipfile.ZipFile(place / "small_net-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("small_net-1.0.dist-info/METADATA", "Name: small-net")
        archive.writestr(MEMBER, CONTENT)
    links = (f'<a href="{path.name}#sha256={sha256(path)}">{path.name}</a>' for path in place.iterdir())
    (place / "index.html").write_text("\n".join(links))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    return place


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def fetched(index, out, kind=".tar.gz"):
    (archive,) = index.glob(f"*{kind}")
    found = packages.download_archive("small-net==1.0", sha256(archive), out)
    assert found == out / archive.name
    packages.extract(found, MEMBER, out / "extracted")
    return (out / "extracted").read_bytes()


@pytest.mark.parametrize("kind", [".tar.gz", ".whl"])
def test_the_archive_of_that_digest_is_taken_and_nothing_of_it_is_run(index, out, kind, tmp_path):
    assert fetched(index, out, kind) == CONTENT
    assert not (tmp_path / "ran").exists()
    assert not any(name.split(".")[0].startswith("small") for name in sys.modules)


@pytest.fixture
def server(index):
    """Serves the index over HTTP."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=index.parent)
    handler.func.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_every_place_that_pip_knows_is_asked(index, out, server, tmp_path, monkeypatch):
    closed = "http://127.0.0.1:9/"
    folder, page = str(index), (index / "index.html").as_uri()
    (tmp_path / "pip.conf").write_text(
        f"[global]\nindex-url = {closed}\nextra-index-url =\n    {closed}\n    {server}\n"
    )
    for settings in (
        {"PIP_INDEX_URL": server},
        {"PIP_INDEX_URL": closed, "PIP_EXTRA_INDEX_URL": f"{closed} {server}"},
        {"PIP_INDEX_URL": closed, "PIP_FIND_LINKS": f"{tmp_path}/none {folder}"},
        {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": page},
        {"PIP_INDEX_URL": "", "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")},
    ):
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            assert fetched(index, out) == CONTENT


@pytest.mark.parametrize("name", ["USER", "REQUIRE_VIRTUALENV", "DRY_RUN", "REQUIRE_HASHES", "QUIET", "VERBOSE"])
def test_settings_of_pip_for_other_things_do_no_harm(index, out, name, monkeypatch):
    monkeypatch.setenv(f"PIP_{name}", "1")
    assert fetched(index, out) == CONTENT


def test_places_in_pip_s_settings_do_no_harm_either(index, out, monkeypatch):
    for name in ("TARGET", "PREFIX", "ROOT", "PYTHON", "LOG", "CONSTRAINT", "CACHE_DIR"):
        monkeypatch.setenv(f"PIP_{name}", "/dev/null/none")
    monkeypatch.setenv("PIP_ONLY_BINARY", ":all:")
    assert fetched(index, out) == CONTENT


def test_a_pip_in_the_working_folder_is_not_run(index, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    (tmp_path / "ast.py").write_text("open('ran', 'w')")
    assert fetched(index, out) == CONTENT
    assert not (tmp_path / "ran").exists()


def test_another_archive_of_that_name_is_refused(index, out, server, monkeypatch):
    """By the digest that the index gives, and by that of what came."""
    (archive,) = index.glob("*.tar.gz")
    digest = sha256(archive)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(ValueError, match=f"small_net-1.0.tar.gz: sha256 is {sha256(archive)}, expected {digest}"):
        packages.download_archive("small-net==1.0", digest, out)
    (index / "index.html").write_text(f'<a href="{archive.name}">{archive.name}</a>')
    for url in (index.parent.as_uri(), server):
        monkeypatch.setenv("PIP_INDEX_URL", url)
        with pytest.raises(ValueError, match=f"small-net==1.0 with sha256 {digest[:8]}… was not found"):
            packages.download_archive("small-net==1.0", digest, out)


def test_what_cannot_be_found_says_where_it_was_looked_for(index, out, server, monkeypatch):
    for settings, message in (
        ({"PIP_NO_INDEX": "yes"}, "no package index is configured"),
        ({"PIP_INDEX_URL": "http://me:secret@127.0.0.1:9"}, r"no connection to http://\*\*\*@127.0.0.1:9 "),
        ({"PIP_INDEX_URL": f"{server}/none"}, r"none/small-net/: Client Error\(404\)"),
        ({"PIP_INDEX_URL": "http://index.invalid"}, "not being trusted"),
        ({"PIP_FIND_LINKS": "none", "PIP_NO_INDEX": "1"}, "non-existing path: none"),
        ({"PIP_CERT": "/none"}, "pip's setting `cert` or `client-cert`: No such file or directory"),
    ):
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            with pytest.raises(ValueError, match=message) as raised:
                packages.download_archive("small-net==1.0", "0" * 64, out)
        assert "secret" not in str(raised.value)


def test_a_file_that_the_index_lists_and_does_not_have_is_an_error(index, out, server, monkeypatch):
    (index / "index.html").write_text(f'<a href="small_net-1.0.zip#sha256={"0" * 64}">small_net-1.0.zip</a>')
    monkeypatch.setenv("PIP_INDEX_URL", server)
    with pytest.raises(ValueError, match="small_net-1.0.zip: the server answered with status 404"):
        packages.download_archive("small-net==1.0", "0" * 64, out)


def test_only_a_regular_file_is_extracted_and_to_no_other_place(out):
    archive = out / "a.tar.gz"
    for name, kind in (
        (f"top/{MEMBER}", {"type": tarfile.SYMTYPE, "linkname": "/etc/hostname"}),
        (f"top/{MEMBER}", {"type": tarfile.LNKTYPE, "linkname": "../../etc/hostname"}),
        (f"top/{MEMBER}", {"type": tarfile.FIFOTYPE}),
        (f"top/{MEMBER}", {"type": tarfile.DIRTYPE}),
        (f"../../{MEMBER}", {}),
        (f"/{MEMBER}x", {}),
        (MEMBER, {}),
    ):
        with tarfile.open(archive, "w:gz") as tar:
            add(tar, name, **kind)
        with pytest.raises(ValueError, match=f"a.tar.gz has no file {MEMBER}"):
            packages.extract(archive, MEMBER, out / "extracted")
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr(f"{MEMBER}/", "")
        wheel.writestr(f"../{MEMBER}x", "")
    with pytest.raises(ValueError, match=f"a.tar.gz has no file {MEMBER}"):
        packages.extract(archive, MEMBER, out / "extracted")
    assert {path.name for path in out.iterdir()} == {"a.tar.gz"}


@pytest.mark.parametrize("size", [50, len(CONTENT) - 1])
def test_a_file_larger_than_allowed_is_not_written(index, out, server, size, monkeypatch):
    monkeypatch.setattr(packages, "LARGEST", size)
    for url in (index.parent.as_uri(), server):
        monkeypatch.setenv("PIP_INDEX_URL", url)
        with pytest.raises(ValueError, match=rf"(small_net-1.0.tar.gz|{MEMBER}): more than {size} bytes"):
            fetched(index, out)
    assert all(path.stat().st_size <= size for path in out.iterdir() if path.name == "extracted")


def test_a_damaged_archive_is_an_error(index, out):
    for archive in index.glob("small*"):
        content = archive.read_bytes()
        for damaged in (content[: len(content) // 2], b"", bytes(2000), content[:60] + bytes(40) + content[100:]):
            (out / "x").write_bytes(damaged)
            try:
                packages.extract(out / "x", MEMBER, out / "extracted")
            except ValueError as error:
                assert str(error).startswith("x ")  # noqa: PT017
