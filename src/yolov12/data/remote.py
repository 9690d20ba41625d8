"""Fetching one image that the user named by its https address, without letting that address reach anything private.

Only https. Every address that a host name resolves to must be a public one, at the first request and at each redirect,
and the connection goes to exactly the address that was checked, so a name that resolves differently the next moment
gains nothing. Proxies from the environment are not used. Size and total time are limited.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
import time
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from yolov12.errors import SourceError, printable

MAX_BYTES: Final = 50 * 2**20
MAX_SECONDS: Final = 30.0
MAX_REDIRECTS: Final = 5
CHUNK: Final = 1 << 16
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Well-known prefix of IPv6 addresses that carry an IPv4 address (RFC 6052); translators reach what it embeds.
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetch(url: str) -> bytes:
    """The body behind `url`; SourceError says what was refused or went wrong."""
    deadline = time.monotonic() + MAX_SECONDS
    target = url
    try:
        for _ in range(MAX_REDIRECTS + 1):
            body, location = _request(target, deadline)
            if location is None:
                return body
            target = urljoin(target, location)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceError(f"{printable(url)}: {_why(error, deadline)}") from error
    raise SourceError(f"{printable(url)}: more than {MAX_REDIRECTS} redirects")


def _why(error: Exception, deadline: float) -> str:
    if time.monotonic() >= deadline:
        return f"took longer than {MAX_SECONDS:.0f} seconds"
    return printable(error) or type(error).__name__


def _request(url: str, deadline: float) -> tuple[bytes, str | None]:
    """One hop: (body, None), or (b"", where the server points to)."""
    parts = _checked(url)
    host, port = str(parts.hostname), parts.port or http.client.HTTPS_PORT
    connection = _PinnedConnection(host, port, _public_addresses(host, port, deadline), deadline)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"User-Agent": "yolov12", "Accept": "image/*", "Connection": "close"})
        with connection.getresponse() as response:
            if response.status in REDIRECTS and (location := response.getheader("Location")):
                return b"", location
            if response.status != http.client.OK:
                raise ValueError(f"the server answered {response.status} {response.reason}")
            return _body(response, deadline), None
    finally:
        connection.release()


def _checked(url: str) -> SplitResult:
    """The parts of `url` if it is plain https://host[:port]/..., else ValueError."""
    if not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise ValueError("only plain ASCII addresses are fetched: percent-encode the rest")
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise ValueError(f"only https addresses are fetched, not {parts.scheme}")
    if not parts.hostname or "@" in parts.netloc:
        raise ValueError("the address must be https://host/path without user name or password")
    return parts


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    limit = f"larger than {MAX_BYTES >> 20} MB"
    if int(response.getheader("Content-Length") or 0) > MAX_BYTES:
        raise ValueError(limit)
    chunks, size = [], 0
    while chunk := response.read1(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise ValueError(limit)
        if time.monotonic() >= deadline:
            raise TimeoutError("too slow")
    if time.monotonic() >= deadline or response.length:
        raise ConnectionError("the connection broke off")
    return b"".join(chunks)


def _public_addresses(host: str, port: int, deadline: float) -> list[str]:
    """All addresses of `host`; ValueError if any of them is not public."""
    addresses = _resolve(host, port, deadline)
    for address in addresses:
        if not is_public(ipaddress.ip_address(address)):
            raise ValueError(f"{host} is at {address}, which is not a public address: refused")
    return addresses


def _resolve(host: str, port: int, deadline: float) -> list[str]:
    """Addresses of `host`. The resolver takes no time limit, so a thread asks it and may be left behind."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            answers.put(error)
        else:
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
    except queue.Empty:
        raise TimeoutError(f"{host} could not be looked up in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def is_public(address: Address) -> bool:
    """Whether `address`, and the IPv4 address inside it if it carries one, is globally routable unicast."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.scope_id is not None:
            return False
    return address.is_global and not address.is_multicast


class _PinnedConnection(http.client.HTTPSConnection):
    """Connects to the addresses it is given, checks the certificate for `host`, and is cut off at the deadline."""

    def __init__(self, host: str, port: int, addresses: list[str], deadline: float) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(host, port, context=self._tls)
        self._addresses, self._deadline = addresses, deadline
        self._watchdog: threading.Timer | None = None

    def connect(self) -> None:
        raw = self._open()
        secure = self._tls.wrap_socket(raw, server_hostname=self.host, do_handshake_on_connect=False)
        # A socket's own timeout starts anew with every byte; this ends the connection whatever trickles in.
        self._watchdog = threading.Timer(max(self._deadline - time.monotonic(), 0), _cut, (secure,))
        self._watchdog.daemon = True
        self._watchdog.start()
        self.sock = secure
        secure.do_handshake()

    def release(self) -> None:
        """Close, once the body is read; `close` alone comes earlier, when the response takes the connection over."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        self.close()

    def _open(self) -> socket.socket:
        """A connection to the first address that answers."""
        problem = OSError("no address")
        for address in self._addresses:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("too slow")
            try:
                return socket.create_connection((address, self.port), timeout=remaining)
            except OSError as error:
                problem = error
        raise problem


def _cut(connection: socket.socket) -> None:
    """Shut the transport down under whoever is reading; the TLS layer above then sees the end of the stream."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # already closed
