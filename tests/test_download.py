"""Downloads against a local server that cuts, lies, stalls and redirects."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from yolov12.download import DownloadPolicy, download
from yolov12.errors import SetupError

BODY = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """What the next answers shall be, and what has been asked."""

    daemon_threads = False
    request_queue_size = 16

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.tag = BODY, '"one"'
        self.cut: list[int] = []
        """Bytes after which the answers to come are cut off."""
        self.status = 200
        self.kind = "application/octet-stream"
        self.location = ""
        self.honour_range = True
        self.slow = False
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.pt"

    def handle_error(self, *_: object) -> None:
        """A client that goes away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        start = 0
        wanted = self.headers.get("Range", "")
        if server.honour_range and wanted and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        rest = server.body[start:]
        self.send_response(206 if start and server.status == 200 else server.status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        if server.location:
            self.send_header("Location", server.location)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        if server.slow:
            for byte in itertools.islice(rest, 100):
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        if server.cut:
            self.wfile.write(rest[: server.cut.pop(0)])
            self.close_connection = True
        elif not server.slow:
            self.wfile.write(rest)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def policy(**changes: Any) -> DownloadPolicy:
    return DownloadPolicy(**{"hosts": ("127.0.0.1",), "schemes": ("http",), "pause": 0.0, "timeout": 5.0, **changes})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    download(server.url, tmp_path / "m.pt", policy(), lambda done, total: calls.append((done, total)))
    assert (tmp_path / "m.pt").read_bytes() == BODY
    assert names(tmp_path) == ["m.pt"]
    assert calls[0] == (0, len(BODY))
    assert calls[-1] == (len(BODY), len(BODY))


def test_a_cut_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut = [500_000, 200_000]
    download(server.url, tmp_path / "m.pt", policy(), lambda *_: None)
    assert (tmp_path / "m.pt").read_bytes() == BODY
    assert [request.get("Range") for request in server.requests] == [None, "bytes=500000-", "bytes=700000-"]


def test_a_later_run_goes_on_where_an_earlier_one_stopped(server: Server, tmp_path: Path) -> None:
    server.cut = [500_000]
    with pytest.raises(SetupError, match=r"failed after 1 attempts.*500000 of 1048576 bytes"):
        download(server.url, tmp_path / "m.pt", policy(attempts=1), lambda *_: None)
    assert "m.pt" not in names(tmp_path)
    first: list[int] = []
    download(server.url, tmp_path / "m.pt", policy(), lambda done, _: first.append(done))
    assert first[0] == 500_000
    assert (tmp_path / "m.pt").read_bytes() == BODY


@pytest.mark.parametrize("change", ["another version", "no ranges"])
def test_two_versions_are_never_joined(server: Server, tmp_path: Path, change: str) -> None:
    server.cut = [500_000]
    with pytest.raises(SetupError):
        download(server.url, tmp_path / "m.pt", policy(attempts=1), lambda *_: None)
    if change == "another version":
        server.body, server.tag = BODY[::-1], '"two"'
    server.honour_range = change != "no ranges"
    download(server.url, tmp_path / "m.pt", policy(), lambda *_: None)
    assert (tmp_path / "m.pt").read_bytes() == server.body


def test_a_partial_file_that_is_too_long_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.pt.part").write_bytes(b"x" * 10)
    (tmp_path / "m.pt.part.etag").write_text(server.tag)
    original = Handler.do_GET

    def refuse_range(handler: Handler) -> None:
        if "Range" in handler.headers:
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            original(handler)

    Handler.do_GET = refuse_range  # type: ignore[method-assign, assignment]
    try:
        download(server.url, tmp_path / "m.pt", policy(), lambda *_: None)
    finally:
        Handler.do_GET = original  # type: ignore[method-assign]
    assert (tmp_path / "m.pt").read_bytes() == BODY


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": 404}, "the server answered 404"),
        ({"status": 503}, "the server answered 503"),
        ({"kind": "text/html; charset=utf-8"}, "a web page instead of the file"),
        ({"status": 302, "location": "http://localhost/x"}, "refused to contact http://localhost/x"),
        ({"status": 302, "location": "file:///etc/passwd"}, "not allowed"),
        ({"status": 302, "location": "http://169.254.169.254/meta"}, "refused to contact http://169"),
    ],
)
def test_answers_that_are_no_file_are_refused(
    server: Server, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    for name, value in changes.items():
        setattr(server, name, value)
    with pytest.raises(SetupError, match=message):
        download(server.url, tmp_path / "m.pt", policy(), lambda *_: None)
    assert "m.pt" not in names(tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://github.com/x", ("github.com",)),
        ("https://github.com.evil.org/x", ("github.com", ".githubusercontent.com")),
        ("https://evilgithubusercontent.com/x", ("github.com", ".githubusercontent.com")),
        ("https://github.com@evil.org/x", ("github.com",)),
        ("https://evil.org\\@github.com/x", ("github.com",)),
        ("ftp://github.com/x", ("github.com",)),
    ],
)
def test_only_named_hosts_over_https(url: str, hosts: tuple[str, ...]) -> None:
    with pytest.raises(SetupError, match="refused to contact"):
        DownloadPolicy(hosts=hosts).check(url)


def test_size_limits_hold_before_and_during_the_transfer(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="1048576 bytes, more than the limit of 1000"):
        download(server.url, tmp_path / "m.pt", policy(max_bytes=1000), lambda *_: None)


def test_a_dripping_server_is_given_up(server: Server, tmp_path: Path) -> None:
    server.slow = True
    started = time.monotonic()
    with pytest.raises(SetupError, match="slower than 1024 bytes a second"):
        download(server.url, tmp_path / "m.pt", policy(timeout=0.5), lambda *_: None)
    assert time.monotonic() - started < 4


def test_an_unreachable_server_is_an_error_of_the_environment(tmp_path: Path) -> None:
    with Server() as closed:
        url = closed.url
    with pytest.raises(SetupError, match=r"failed after 2 attempts.*refused"):
        download(url, tmp_path / "m.pt", policy(attempts=2), lambda *_: None)
    assert not (tmp_path / "m.pt").exists()


def test_two_processes_at_once_make_one_transfer(server: Server, tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=download, args=(server.url, tmp_path / "m.pt", policy(), lambda *_: None))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "m.pt").read_bytes() == BODY
    assert len(server.requests) == 1
