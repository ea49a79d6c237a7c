"""Starts `oauth2-mock-server` from npm, a token endpoint that we did not write.

That package gives a token to anybody; that it looks at secrets and signed assertions is ours
(`oauth2_server/server.mjs`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt

from tests.rigs import npm

START_SECONDS = 30


@dataclass
class OAuth2:
    """A running token server. `asked()`: every token request so far, oldest first, without its secrets."""

    port: int
    token_path: str
    log: Path = field(repr=False)
    _keys: list[jwt.PyJWK] = field(default_factory=list, repr=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """Where tokens are asked for."""
        return f"{self.url}{self.token_path}"

    def asked(self) -> list[dict[str, Any]]:
        """{"path", "asked": form fields, "client", "status"} of each request."""
        return [json.loads(line) for line in self.log.read_text().splitlines()[1:]]

    def keys(self) -> list[jwt.PyJWK]:
        """The public keys that its tokens are signed with, asked once."""
        if not self._keys:
            answer = httpx.get(f"{self.url}/jwks", trust_env=False)
            self._keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        return self._keys


def subject_of(bearer: str, keys: list[jwt.PyJWK]) -> str:
    """The account that a token of this server names; "" when it is no token of it, or is over."""
    for key in keys:
        with contextlib.suppress(jwt.PyJWTError):
            return str(
                jwt.decode(bearer, key, algorithms=["RS256"], options={"verify_aud": False}).get("sub", "")
            )
    return ""


@contextlib.contextmanager
def token_server(
    clients: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    path: str = "/token",
    lifetime: int = 3600,
) -> Iterator[OAuth2]:
    """A token server on a free port; `clients` as in `oauth2_server/server.mjs`, None lets anybody in."""
    home = npm.installed("oauth2_server")
    with tempfile.TemporaryDirectory(prefix="countersign-oauth2-") as folder:
        log = Path(folder) / "log"
        environment = {**os.environ, "TOKEN_PATH": path, "LIFETIME": str(lifetime)}
        if clients is not None:
            environment["CLIENTS"] = json.dumps(clients)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [npm.node(), str(home / "server.mjs")], cwd=home, env=environment, stdout=output
            )
        try:
            yield OAuth2(_port(process, log), path, log)
        finally:
            process.terminate()
            process.wait(10)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while True:
        first, ended, _ = log.read_text().partition("\n")
        if ended:
            return int(json.loads(first)["port"])
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError("oauth2-mock-server did not start.")
        time.sleep(0.02)
