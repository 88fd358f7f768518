"""What `sg2bench doctor` finds, on machines that lack something."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time

import pytest

from sg2bench import doctor, packages


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without weights, whose every connection is refused."""

    def refuse(*_, **__):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("SG2BENCH_OFFLINE", raising=False)
    for name in ("SG2BENCH_WEIGHTS", "SG2BENCH_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@index.test/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def by_subject(findings):
    return {finding.subject: finding for finding in findings}


def test_a_machine_that_has_all_it_needs(quick_cli, monkeypatch):
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    process = quick_cli("doctor")
    assert process.returncode == 0, process.stdout
    assert "fails" not in process.stdout
    for word in (
        "sg2bench",
        "torch",
        "cores",
        "cache",
        "writable",
        "alexnet-lpips",
        "SG2BENCH_OFFLINE is set",
    ):
        assert word in process.stdout


def test_without_network_and_weights_it_says_what_fails_and_how_to_mend_it(bare, quick_cli):
    start = time.monotonic()
    process = quick_cli("doctor", "--json")
    assert process.returncode == 2
    found = {each["subject"]: each for each in json.loads(process.stdout)}
    assert found["weights alexnet-lpips"]["state"] == "fails"
    assert "needed by protocol offline" in found["weights alexnet-lpips"]["said"]
    assert "set SG2BENCH_WEIGHTS to that folder" in found["weights alexnet-lpips"]["remedy"]
    assert found["weights inception-2015"]["state"] == "note"
    assert found["weights efficientnet-lite0"]["state"] == "note"  # only for a metric on request
    assert "needed by fd_efflite0" in found["weights efficientnet-lite0"]["said"]
    assert found["Python index"]["state"] == "note"
    assert "index.test" in found["Python index"]["said"]
    assert "secret" not in process.stdout
    assert time.monotonic() - start < 60  # ten seconds where nothing else runs


def test_a_cache_that_cannot_be_written_to(quick_cli, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "file/cache"))
    process = quick_cli("doctor")
    assert process.returncode == 2
    assert f"fails cache: {tmp_path}/file/cache: not writable (Not a directory)" in process.stdout
    assert "→ set SG2BENCH_CACHE to a writable folder" in process.stdout


def test_no_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "new/cache"))
    monkeypatch.chdir(tmp_path)
    found = by_subject(doctor._folders())
    assert (found["cache"].state, found["folder"].said) == ("ok", f"{tmp_path}: writable")
    assert found["cache"].said == f"{tmp_path}/new/cache: will be created when needed"
    assert not list(tmp_path.iterdir())


def test_damaged_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "lpips-alexnet.ckpt").write_bytes(b"damaged")
    found = by_subject(doctor._weights({}))["weights alexnet-lpips"]
    assert found.state == "fails"
    assert "expected 443c5bc3" in found.said


def test_weights_that_can_be_fetched_are_no_problem(bare):
    found = by_subject(doctor._weights({"Python index": "", "publisher of inception-2015": ""}))
    assert found["weights alexnet-lpips"].state == "ok"
    assert found["weights inception-2015"].state == "ok"
    assert found["weights inception-torchvision"].state == "note"


def test_a_place_that_is_silent_is_left_after_its_time():
    places = {"quick": lambda: "", "silent": lambda: time.sleep(5) or "", "broken": lambda: 1 / 0}
    start = time.monotonic()
    found = doctor._answers(places, doctor._ask(places), start + 0.5)
    assert time.monotonic() - start < 4
    assert found == {"quick": "", "silent": "no answer in time", "broken": "division by zero"}


@pytest.fixture
def index(monkeypatch):
    """A package index on this machine; the paths it was asked for, and the status that it answers with."""
    asked, status = [], [200]

    class Index(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@127.0.0.1:{server.server_port}/simple")
    yield asked, status
    server.shutdown()
    server.server_close()


def test_the_index_is_asked_for_the_head_of_one_page(index):
    asked, status = index
    assert packages.index_problem("a-package", 5) == ""
    assert asked == ["/simple/a-package/"]
    status[0] = 403
    problem = packages.index_problem("a-package", 5)
    assert problem.endswith("/simple/a-package/ answers 403")
    assert "secret" not in problem


def test_no_index_and_no_npm(monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert packages.index_problem("a-package", 1) == "pip is configured to use no index"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert packages.npm_problem("a-package", 1).startswith("npm is not installed")
