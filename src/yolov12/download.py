"""Fetching one large file over https: resumable, bounded, and only from hosts that the caller names.

The body goes to `<target>.part` and is renamed once it is complete. An interrupted transfer goes on where it stopped
(a Range request, guarded by the server's entity tag so that two versions are never joined). Every hop of a redirect
must be https to an allowed host; certificates are verified by the system's rules, and proxies of the environment work.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, BinaryIO

from yolov12.atomic import write_atomic
from yolov12.errors import ResourceError, SetupError
from yolov12.version import __version__

if sys.platform != "win32":
    import fcntl

CHUNK = 1 << 18
Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the total (None when the server does not say), first with what a resume has."""


@dataclass(frozen=True)
class DownloadPolicy:
    """Where from and how much: `hosts` are names, or domains when they start with a dot."""

    hosts: tuple[str, ...]
    schemes: tuple[str, ...] = ("https",)
    max_bytes: int = 2**30
    timeout: float = 30.0
    """Seconds without any byte."""
    slowest: float = 1024.0
    """Bytes a second, on average, below which a transfer older than `timeout` is given up."""
    attempts: int = 5
    pause: float = 1.0
    """Seconds before the second attempt; doubled for each further one."""

    def check(self, url: str) -> None:
        """Raise SetupError unless `url` may be contacted."""
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        allowed = any(host == name or (name.startswith(".") and host.endswith(name)) for name in self.hosts)
        if parts.scheme not in self.schemes or not allowed or "@" in parts.netloc:
            raise SetupError(f"refused to contact {url}: only {'/'.join(self.schemes)} to {', '.join(self.hosts)}")


def download(url: str, target: Path, policy: DownloadPolicy, progress: Progress) -> None:
    """Make `target` hold the body of `url`; what is already in `<target>.part` is not transferred again.

    Raises SetupError when the server cannot be reached or refuses, ResourceError when the disk is full. The part file
    stays for the next attempt, except when it proved unusable.
    """
    part = target.with_name(f"{target.name}.part")
    with _locked(part) as file:
        if target.exists():  # another process finished while this one waited
            return
        problem = "no attempt made"
        for attempt in range(policy.attempts):
            if attempt:
                time.sleep(policy.pause * 2 ** (attempt - 1))
            try:
                problem = _attempt(url, file, part, policy, progress)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise SetupError(f"{url}: the server answered {error.code} {error.reason}") from error
                file.truncate(0)
                problem = "the server does not have the rest of the partial file"
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                if isinstance(reason, ssl.SSLError):
                    raise SetupError(f"{url}: the connection is not secure ({reason})") from error
                problem = str(reason) or type(reason).__name__
            except OSError as error:
                raise ResourceError(f"{part}: cannot be written: {error.strerror}") from error
            if not problem:
                break
        else:
            raise SetupError(f"{url}: download failed after {policy.attempts} attempts ({problem})")
        os.fsync(file.fileno())
        os.replace(part, target)
        _tag_file(part).unlink(missing_ok=True)


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Applies the policy to every hop."""

    def __init__(self, policy: DownloadPolicy) -> None:
        self.policy = policy

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        try:
            self.policy.check(newurl)
        except SetupError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _attempt(url: str, file: BinaryIO, part: Path, policy: DownloadPolicy, progress: Progress) -> str:
    """One request that appends to `file`; an empty string when the file is complete, else what was wrong."""
    policy.check(url)
    have = file.seek(0, io.SEEK_END)
    tag_file = _tag_file(part)
    headers = {"User-Agent": f"yolov12/{__version__}", "Accept-Encoding": "identity"}
    if have and tag_file.is_file():
        headers |= {"Range": f"bytes={have}-", "If-Range": tag_file.read_text(encoding="utf8")}
    opener = urllib.request.build_opener(_CheckedRedirects(policy))
    with opener.open(urllib.request.Request(url, headers=headers), timeout=policy.timeout) as response:
        if response.headers.get_content_maintype() == "text":
            raise SetupError(f"{url}: the server sent a web page instead of the file")
        if response.status == http.client.PARTIAL_CONTENT:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                file.truncate(0)
                return "the server sent another range than asked for"
        else:
            have = 0
            file.truncate(0)
            write_atomic(tag_file, response.headers.get("ETag", "").encode())
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else None
        done = _copy(url, response, file, _Span(have, total), policy, progress)
    return "" if total is None or done == total else f"the connection ended after {done} of {total} bytes"


@dataclass(frozen=True)
class _Span:
    start: int
    total: int | None


def _copy(
    url: str,
    response: http.client.HTTPResponse,
    file: BinaryIO,
    span: _Span,
    policy: DownloadPolicy,
    progress: Progress,
) -> int:
    """Append the body; the file's size afterwards."""
    done, started = span.start, time.monotonic()
    if (span.total or 0) > policy.max_bytes:
        raise SetupError(f"{url}: {span.total} bytes, more than the limit of {policy.max_bytes}")
    progress(done, span.total)
    while chunk := response.read1(CHUNK):
        file.write(chunk)
        done += len(chunk)
        progress(done, span.total)
        if done > policy.max_bytes:
            raise SetupError(f"{url}: more than the limit of {policy.max_bytes} bytes")
        elapsed = time.monotonic() - started
        if elapsed > policy.timeout and done - span.start < policy.slowest * elapsed:
            raise SetupError(f"{url}: slower than {policy.slowest:.0f} bytes a second; run again to go on from here")
    file.flush()
    return done


def _tag_file(part: Path) -> Path:
    """Holds the entity tag of the version that the part file is a part of."""
    return part.with_name(f"{part.name}.etag")


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The part file, open for appending, for one process at a time (the lock ends with the process)."""
    with part.open("ab") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
