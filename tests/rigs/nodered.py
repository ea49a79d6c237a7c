"""Node-RED as the middleware: a server that we did not write, with a flow that we did (`nodered/flow.js`).

The flow verifies what it is sent and signs what it tells with npm's `standardwebhooks`; ours is PyPI's. Behind it is
the sandbox ERP, written to under that type's account, so that effects are counted in the sandbox's ledger.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.contract import Account
from tests.rigs import npm
from tests.sandbox import SandboxProcess

START_SECONDS = 60
WAIT_SECONDS = 30
ADAPTER = "tests.rigs.nodered_adapter"
"""The shipped adapter with a shorter patience, and a type more."""

SEEN = (
    "production_order_quantity",
    "production_order_reschedule",
    "purchase_order_create",
    "purchase_order_line_change",
    "sales_order_promise",
)
"""What the flow writes into the ERP."""
ON_WORD = "plant_notice"
"""What it takes and shows nowhere; a type of the deployment's own, in `tests.rigs.plant_types`."""
TYPES = (ON_WORD, *SEEN)


def whsec() -> str:
    """A fresh secret."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class NodeRed:
    """A running Node-RED with the flow, in front of a sandbox."""

    def __init__(self, home: Path, erp: SandboxProcess) -> None:
        self.erp, self.home = erp, home
        self.port = _free_port()
        self.secrets = {name: whsec() for name in TYPES}
        self.callback_secret = whsec()
        self._marker = secrets.token_hex(8)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when this one, and no other, answers."""
        installed = npm.installed("nodered")
        flows = subprocess.run([npm.node(), "flow.js"], cwd=installed, check=True, capture_output=True)
        self.home.mkdir(exist_ok=True)
        (self.home / "flows.json").write_bytes(flows.stdout)
        proofs = {
            login: "Basic " + base64.b64encode(f"{login}:{secret}".encode()).decode()
            for login, secret in self.erp.accounts.items()
        }
        environment = {
            **os.environ,
            "RIG_PORT": str(self.port),
            "RIG_HOME": str(self.home),
            "RIG_MARKER": self._marker,
            "RIG_SECRETS": json.dumps(self.secrets),
            "RIG_CALLBACK_SECRET": self.callback_secret,
            "RIG_ERP": self.erp.url,
            "RIG_READS_AS": proofs["reader"],
            "RIG_WRITES_AS": json.dumps(proofs),
        }
        log = self.home / "nodered.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [npm.node(), "node_modules/node-red/red.js", "-s", "settings.js"],
                cwd=installed,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.told()["marker"] == self._marker:
                    return
            except (httpx.HTTPError, ValueError):
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Node-RED did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)

    def close(self) -> None:
        """End it."""
        self._http.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def behave(self, mode: str = "ok", *, callback: str = "http://127.0.0.1:9/nowhere") -> None:
        """How it answers from now on, and where it calls back.

        `ok`, `slow`, `reject`, `twice`, `contradict`; `silent` does and says nothing, `mute` does it and says nothing,
        `liar` says done and does nothing, `early` calls back before it answers; `redirect`, `busy`, `bad_gateway`,
        `page` are answers that are no clear ones.
        """
        self._http.post("/rig/set", json={"mode": mode, "callback": callback}).raise_for_status()

    def told(self) -> dict[str, Any]:
        """`jobs` taken and `answers` to callbacks, since it was last told how to behave."""
        answer = self._http.get("/rig/told")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def wait_for_answers(self, count: int = 1) -> list[dict[str, Any]]:
        """What its callbacks were answered, once there are so many."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(answers := self.told()["answers"]) < count:
            assert time.monotonic() < deadline, f"{len(answers)} of {count} callbacks were answered"
            time.sleep(0.05)
        found: list[dict[str, Any]] = answers
        return found

    def options(self, **extra: Any) -> dict[str, Any]:
        """A connection's options."""
        endpoints = {name: f"http://127.0.0.1:{self.port}/erp/{name}" for name in TYPES}
        return {"endpoints": endpoints, "own_network": True, "answers_within": 60, "timeout": 10, **extra}

    def account(self, type_name: str) -> Account:
        """The account of one type: what its messages are signed with."""
        return Account(f"countersign {type_name}", self.secrets[type_name])

    def settings(
        self, verified_by: str, types: Sequence[str] = SEEN, **options: Any
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """An entry for CONNECTIONS, and the environment variables that hold its secrets."""
        names = {name: f"MIDDLEWARE_{name.upper()}" for name in types}
        entry = {
            "adapter": ADAPTER,
            "system": "sandbox",
            "system_title": "Sandbox ERP",
            "title": "Middleware",
            "isa95_level": 4,
            "options": self.options(**options),
            "reader": {"login": "middleware", "secret": "MIDDLEWARE_CALLBACKS"},
            "writers": {
                name: {"login": f"countersign {name}", "secret": secret} for name, secret in names.items()
            },
            "verified_by": verified_by,
        }
        told = {secret: self.secrets[name] for name, secret in names.items()}
        return entry, {**told, "MIDDLEWARE_CALLBACKS": self.callback_secret}


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def nodered_process(
    sandbox_process: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeRed]:
    """One Node-RED for all tests of this run, in front of the run's sandbox."""
    process = NodeRed(tmp_path_factory.mktemp("nodered"), sandbox_process)
    try:
        process.start()
        yield process
    finally:
        process.close()


@pytest.fixture
def nodered(nodered_process: NodeRed, sandbox: SandboxProcess) -> NodeRed:  # noqa: ARG001 freshly seeded
    """The run's Node-RED, well and with nothing in mind."""
    nodered_process.behave()
    return nodered_process
