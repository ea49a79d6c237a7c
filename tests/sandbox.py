"""Fixtures for the sandbox ERP: a real process of its own, told over HTTP how to fail, its ledger to count in."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.contract import Account

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 20


class SandboxProcess:
    """One sandbox. Start it again after `stop` or `kill`: same home, same ports, same data."""

    def __init__(self, home: Path, *, seed: str = "furniture", orders: int = 5000) -> None:
        self.home = home
        self._arguments = ["--home", str(home), "--seed", seed, "--orders", str(orders)]
        self._process: subprocess.Popen[bytes] | None = None
        self._control = httpx.Client(timeout=30, trust_env=False)
        self.port = self.control_port = 0

    def start(self) -> None:
        """Start, and return when it answers."""
        ports = ["--port", str(self.port), "--control-port", str(self.control_port)]
        (self.home / "port.json").unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "integrations.sandbox", *self._arguments, *ports],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while not (self.home / "port.json").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("The sandbox did not start.")
            time.sleep(0.01)
        told = json.loads((self.home / "port.json").read_text())
        self.port, self.control_port = told["port"], told["control_port"]

    def stop(self) -> int:
        """Ask it to end; gives the exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(10)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait(10)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._control.close()

    @property
    def url(self) -> str:
        """Where the ERP listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def accounts(self) -> dict[str, str]:
        """Logins and secrets: `reader`, and one per transaction type named after it."""
        found: dict[str, str] = json.loads((self.home / "accounts.json").read_text())
        return found

    def account(self, login: str) -> Account:
        """A service account, ready for an adapter."""
        return Account(login, self.accounts[login])

    def options(self, **extra: Any) -> dict[str, Any]:
        """A connection's options, such as `timeout_ms=300` besides the address."""
        return {"url": self.url, "timeout_ms": 5000, **extra}

    def settings(
        self, adapter: str = "integrations.sandbox.adapter", **options: Any
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """An entry for CONNECTIONS, and the environment variables that hold its secrets."""
        names = {login: f"SANDBOX_{login.upper()}" for login in self.accounts}
        entry = {
            "adapter": adapter,
            "system": "sandbox",
            "system_title": "Sandbox ERP",
            "title": "Sandbox",
            "isa95_level": 4,
            "options": self.options(**options),
            "reader": {"login": "reader", "secret": names["reader"]},
            "writers": {
                login: {"login": login, "secret": name} for login, name in names.items() if login != "reader"
            },
            "verified_by": None,
        }
        return entry, {names[login]: secret for login, secret in self.accounts.items()}

    def fail(self, kind: str, **how: Any) -> None:
        """Fail in this way; `how` narrows it: operation, step, account, times (1 unless told), after, seconds ..."""
        self._post("rules", {"kind": kind, **how})

    def heal(self) -> None:
        """Fail no more."""
        self._control.delete(self._at("rules")).raise_for_status()

    def ledger(self) -> list[dict[str, Any]]:
        """Every effect since the last reset, oldest first."""
        found: list[dict[str, Any]] = self._get("ledger")
        return found

    def effects(self, reference: str) -> list[dict[str, Any]]:
        """The effects that carry this reference."""
        return [entry for entry in self.ledger() if entry["reference"] == reference]

    def duplicates(self) -> list[tuple[str, str]]:
        """Reference and operation of everything that took effect more than once."""
        counted = Counter((e["reference"], e["operation"]) for e in self.ledger() if e["reference"])
        return [what for what, times in counted.items() if times > 1]

    def calls(self) -> list[dict[str, Any]]:
        """Every call received since the last reset: operation, step, reference, account, status, fault."""
        found: list[dict[str, Any]] = self._get("calls")
        return found

    def record(self, name: str) -> dict[str, Any] | None:
        """A record such as `production 17` as it truly is; None when there is none."""
        found: dict[str, Any] | None = self._get(f"records/{name}")
        return found

    def find(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The first seeded record of a kind with these fields."""
        seeded = json.loads((self.home / "base.json").read_text())["records"].values()
        for doc in seeded:
            if doc["kind"] == kind and all(doc.get(n) == v for n, v in fields.items()):
                found: dict[str, Any] = doc
                return found
        raise AssertionError(f"No {kind} with {fields}")

    def edit(self, record: str, *, account: str = "someone", **values: Any) -> None:
        """Change a record behind everybody's back; `lines={key: values}` changes lines only."""
        self._post("edit", {"record": record, "values": values, "account": account})

    def vanish(self, record: str) -> None:
        """Undo the record's last effect, as a restore from a backup does."""
        self._post("vanish", {"record": record})

    def widen(self, login: str, scopes: Mapping[str, list[str]]) -> None:
        """Let an account do more: operation to fields."""
        self._post("accounts", {"login": login, "scopes": dict(scopes)})

    def configure(self, **settings: Any) -> None:
        """Set check_stamps, check_scopes, clock_offset (seconds)."""
        self._post("configure", settings)

    def down(self) -> None:
        """Refuse connections and cut those there are."""
        self._post("down", {})

    def up(self) -> None:
        """Accept connections again."""
        self._post("up", {})

    def reset(self, **how: Any) -> None:
        """Forget every effect and fault; `seed="bulk", orders=1000` for another seed."""
        self._post("reset", how)

    def _at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.control_port}/control/{path}"

    def _get(self, path: str) -> Any:
        answer = self._control.get(self._at(path))
        answer.raise_for_status()
        return answer.json()

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        answer = self._control.post(self._at(path), json=body)
        if answer.status_code != httpx.codes.OK:
            raise AssertionError(f"The sandbox's control refused {path}: {answer.text}")


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One sandbox for all tests of this run."""
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    process.start()
    yield process
    process.close()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """The run's sandbox, as seeded and well."""
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox of this test's own, to stop, kill and start."""
    home = tmp_path / "sandbox"
    home.mkdir()
    process = SandboxProcess(home)
    process.start()
    yield process
    process.close()
