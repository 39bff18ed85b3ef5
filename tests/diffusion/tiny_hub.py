"""A hub on loopback: the HTTP of the Hugging Face hub that its library asks for, over folders of files."""

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + 34 * "0"


@dataclass
class TinyHub:
    """`repositories` are folders by id, each with one revision, "main".

    `spoiled` says how many more times a file is sent with wrong bytes; `sent` are the files sent so far.
    """

    repositories: dict[str, Path]
    spoiled: dict[str, int] = field(default_factory=dict[str, int])
    sent: list[str] = field(default_factory=list[str])
    address: str = ""

    def spoil(self, path: str, content: bytes) -> bytes:
        """The content as it arrives."""
        name = unquote(path).partition("/resolve/")[2].partition("/")[2]
        if not self.spoiled.get(name, 0):
            return content
        self.spoiled[name] -= 1
        return bytes(len(content))

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content."""
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        about = parts[:2] == ["api", "models"]
        owner, name, *rest = parts[2:] if about else parts
        folder = self.repositories.get(f"{owner}/{name}")
        if folder is None:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if len(rest) > 1 and rest[1] not in ("main", COMMIT):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if about:
            return 200, {"Content-Type": "application/json"}, _about(folder, rest)
        return self._file(folder, "/".join(rest[2:]))

    def _file(self, folder: Path, name: str) -> tuple[int, dict[str, str], bytes]:
        content = (folder / name).read_bytes()
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{_digest(name, content)}"'}, content


@contextmanager
def serving(repositories: dict[str, Path]) -> Generator[TinyHub]:
    """At `address`, until the end."""
    hub = TinyHub(repositories)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._reply(with_content=False)

        def do_GET(self) -> None:
            self._reply(with_content=True)

        def log_message(self, format: str, *_: Any) -> None:
            """Say nothing."""

        def _reply(self, with_content: bool) -> None:
            status, headers, content = hub.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_content:
                self.wfile.write(hub.spoil(self.path, content))
                if "/resolve/" in self.path:
                    hub.sent.append(self.path.rpartition("/")[2])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()


def _about(folder: Path, rest: list[str]) -> bytes:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    if rest[:1] != ["tree"]:
        siblings = [{"rfilename": name} for name in names]
        return json.dumps({"id": "", "sha": COMMIT, "siblings": siblings}).encode()
    return json.dumps([_entry(folder, name) for name in names]).encode()


def _entry(folder: Path, name: str) -> dict[str, Any]:
    content = (folder / name).read_bytes()
    digest = _digest(name, content)
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": digest}
    if name.endswith(".safetensors"):
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 1}
    return entry


def _digest(name: str, content: bytes) -> str:
    """As the hub names contents: large files by SHA-256, others as git does."""
    if name.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
