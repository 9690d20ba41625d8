"""Fetching by address: nothing private is reached, and size and time are limited.

The name "public.test" resolves to a local TLS server, and that one address counts as public.
"""

from __future__ import annotations

import http.server
import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from yolov12.data import remote
from yolov12.data.remote import fetch, is_public
from yolov12.errors import SourceError

HOST = "public.test"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff0e::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::1", False),
    ],
)
def test_public_addresses(address: str, expected: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is expected


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.jpg",
        "ftp://example.org/a.jpg",
        "https:///a.jpg",
        "https://user:pw@example.org/",
        "https://example.org@127.0.0.1/",
        "https://allowed.example\\@127.0.0.1/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: x",
        "https://example.org:99999/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://localhost/",
    ],
)
def test_refused_without_a_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(SourceError) as error:
        fetch(url)
    assert "\n" not in str(error.value)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/to/"):
            target = {"here": "/image", "loop": "/to/loop", "http": "http://public.test/", "file": "file:///etc/passwd",
                      "private": "https://private.test/", "metadata": "https://169.254.169.254/"}[path[4:]]  # fmt: skip
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        if path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if path == "/promise":
            self.send_header("Content-Length", str(10**12))
        if path == "/cut":
            self.send_header("Content-Length", "100")
        self.end_headers()
        try:
            self.wfile.write(b"an image")
            while path == "/endless":
                self.wfile.write(bytes(1 << 16))
            while path == "/slow":
                self.wfile.write(b".")
                time.sleep(0.05)
            if path == "/silent":
                time.sleep(3)
        except OSError:
            return


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh self-signed certificate for the server's name, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "pair.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={HOST} -addext subjectAltName=DNS:{HOST}"
    subprocess.run([*command.split(), "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture(scope="module")
def port(certificate: Path) -> Iterator[int]:
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    """The server's name resolves, its certificate is trusted and its address counts as public."""
    addresses = {HOST: "127.0.0.1", "private.test": "10.0.0.1"}

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses.get(host, host), port))]

    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    monkeypatch.setattr(remote, "is_public", lambda address: str(address) == "127.0.0.1" or is_public(address))


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("path", ["/image", "/to/here", "/image?a=b"])
def test_a_body_arrives(path: str, port: int) -> None:
    assert fetch(f"https://{HOST}:{port}{path}") == b"an image"


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/to/private", r"private\.test is at 10\.0\.0\.1, which is not a public address"),
        ("/to/metadata", r"169\.254\.169\.254"),
        ("/to/http", "only https"),
        ("/to/file", "only https"),
        ("/to/loop", "more than 5 redirects"),
        ("/missing", "404"),
        ("/promise", "larger than 50 MB"),
        ("/cut", "broke off"),
    ],
)
def test_what_is_refused_on_the_way(path: str, words: str, port: int) -> None:
    with pytest.raises(SourceError, match=words) as error:
        fetch(f"https://{HOST}:{port}{path}")
    assert HOST in str(error.value)


@pytest.mark.usefixtures("network")
def test_an_endless_body_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="larger than 1 MB"):
        fetch(f"https://{HOST}:{port}/endless")


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("path", ["/slow", "/silent"])
def test_a_body_that_does_not_end_is_cut(path: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_SECONDS", 1.0)
    started = time.monotonic()
    with pytest.raises(SourceError, match="took longer than 1 seconds"):
        fetch(f"https://{HOST}:{port}{path}")
    assert time.monotonic() - started < 2.5


@pytest.mark.usefixtures("network")
def test_a_server_that_never_answers_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and then drips bytes that never become a handshake."""
    monkeypatch.setattr(remote, "MAX_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(SourceError, match="took longer"):
            fetch(f"https://{HOST}:{server.getsockname()[1]}/")
        assert time.monotonic() - started < 5


@pytest.mark.usefixtures("network")
def test_the_connection_goes_to_the_address_that_was_checked(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[Any] = []
    original = socket.create_connection

    def connect(address: Any, **options: Any) -> socket.socket:
        connected.append(address)
        return original(address, **options)

    monkeypatch.setattr(socket, "create_connection", connect)
    fetch(f"https://{HOST}:{port}/image")
    assert connected == [("127.0.0.1", port)]


def test_a_self_signed_certificate_is_refused(port: int, network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(SourceError, match="certificate"):
        fetch(f"https://{HOST}:{port}/image")


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(SourceError, match=r"127\.0\.0\.1, which is not"):
        fetch("https://example.org/")
