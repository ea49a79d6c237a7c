"""`manage.py demo` as a person runs it."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from console.environment import ROOT
from tests.stack.processes import alive, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
OURS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "COUNTERSIGN_MODE", "TRYTON_URL", "SECRET_KEY")


def manage(*arguments: str, var: Path, **more: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**env, "COUNTERSIGN_VAR": str(var), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (our own address)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_connection_that_can_only_be_listened_to_is_listened_to(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    reports = {"adapter": "integrations.b2mml.adapter", "isa95_level": 3, "reader": {}}
    reports["options"] = {"folder": str(tmp_path / "reports")}
    demo = manage(
        "demo",
        *("--no-erp", "--port", "0", "--once"),
        var=tmp_path / "var",
        CONNECTIONS=json.dumps({"reports": reports}),
    )
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    assert "listening on reports" in output
    assert (tmp_path / "var" / "log" / "listen.log").exists()
    wait_until(lambda: not alive(str(tmp_path)))


def test_one_command_starts_it_a_second_is_refused_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    demo = manage("demo", "--no-erp", "--port", "0", var=tmp_path)
    try:
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail("".join(lines))
        printed = threading.Thread(target=lambda: lines.extend(demo.stdout or ()), daemon=True)
        printed.start()

        runtime = json.loads((tmp_path / "runtime.json").read_text())
        assert (tmp_path / "runtime.json").stat().st_mode & 0o077 == 0
        assert status_of(runtime["COUNTERSIGN_URL"]) < 500

        second = manage("demo", "--no-erp", var=tmp_path)
        output, _ = second.communicate(timeout=60)
        assert second.returncode != 0
        assert "running already" in output

        other = manage("migrate", "--check", var=tmp_path)
        other.communicate(timeout=60)
        assert other.returncode == 0, "another command finds the running demo's database, and it is migrated"

        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
        printed.join(10)
        assert "all stopped" in lines[-1]
    finally:
        if demo.poll() is None:
            demo.kill()
        if demo.stdout is not None:
            demo.stdout.close()
    wait_until(lambda: not alive(str(tmp_path)))
    assert not (tmp_path / "runtime.json").exists()
    assert (tmp_path / "postgres" / "data" / "PG_VERSION").exists()
