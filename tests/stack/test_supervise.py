"""The supervisor: what dies comes back, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from console.environment import ROOT
from console.management.stack.supervise import MAX_STARTS, Supervisor
from tests.stack.processes import alive, wait_until

SLEEP = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(600)"]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Supervisor:
    return Supervisor(tmp_path / "log", said.append)


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "MARKER": str(tmp_path)}


def test_a_killed_child_comes_back(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    child = supervisor.run("sleeper", SLEEP, environment(tmp_path))
    assert child.process is not None
    first = child.process.pid
    child.process.kill()

    def came_back() -> None:
        if child.process is not None and child.process.pid != first:
            supervisor.stopping.set()

    limit = threading.Timer(20, supervisor.stopping.set)
    limit.start()
    assert supervisor.watch(came_back) == 0
    limit.cancel()
    assert child.process.pid != first
    assert said == ["sleeper ended with -9; starting it again"]
    supervisor.stop()
    assert not alive(f"MARKER={tmp_path}")


def test_an_essential_child_that_cannot_live_ends_everything(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.run("broken", [sys.executable, "-c", "raise SystemExit(3)"], environment(tmp_path))
    child.starts = MAX_STARTS
    assert supervisor.watch() == 1
    assert "broken ended with 3 again and again" in supervisor.why


def test_the_rest_goes_on_without_a_child_that_is_not_essential(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit(3)"]
    child = supervisor.run("extra", broken, environment(tmp_path), essential=False)
    child.starts = MAX_STARTS
    assert supervisor.watch(lambda: supervisor.stopping.set() if child.finished else None) == 0
    assert "extra ended with 3 again and again" in said[0]


def test_what_a_child_leaves_in_its_group_is_ended_too(supervisor: Supervisor, tmp_path: Path) -> None:
    script = f"import subprocess, time; subprocess.Popen({SLEEP!r}); time.sleep(600)"
    child = supervisor.run("parent", [sys.executable, "-c", script], environment(tmp_path))
    wait_until(lambda: len(alive(f"MARKER={tmp_path}")) == 2)
    child.stop()
    wait_until(lambda: not alive(f"MARKER={tmp_path}"))


def test_only_important_lines_reach_the_person_and_all_reach_the_log(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    script = "print('quiet'); print('ERROR loud')"
    child = supervisor.run("talker", [sys.executable, "-c", script], environment(tmp_path), restart=False)
    supervisor.watch(lambda: supervisor.stopping.set() if child.finished and said else None)
    assert said == ["talker: ERROR loud"]
    assert supervisor.last_words("talker") == "quiet\nERROR loud"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import os, pathlib; from console.management.stack.supervise import Supervisor; "
        f"one = Supervisor(pathlib.Path({str(tmp_path)!r}), print); "
        f"one.run('sleeper', {SLEEP!r}, os.environ); one.watch()"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment(tmp_path)) as process:
        wait_until(lambda: len(alive(f"MARKER={tmp_path}")) == 2)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(f"MARKER={tmp_path}"))
