"""R5: the tests have teeth. Each planted bug, in a throw-away copy of the corridor, is caught by a test named here.

A copy of the code and its tests is changed by one piece of text, and the named tests are run there, in a process
and a database of their own. A bug that is not caught fails here; so does a piece of text that is no longer there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from console.environment import ROOT
from tests.services import LEAN

COPIED = (
    "console",
    "integrations",
    "tests",
    "templates",
    "static",
    "manage.py",
    "pyproject.toml",
    "README.md",
)
COMMIT, READBACK = "console/lifecycle/commit.py", "console/lifecycle/readback.py"
FAULT = "tests/faults/test_faults.py"
ANY_FAULT = f"{FAULT}::test_whatever_the_system_does_with_a_write_nothing_is_lost_doubled_or_miscalled"


@dataclass(frozen=True)
class Bug:
    """What is changed where, and the tests that must fail of it."""

    what: str
    file: str
    right: str
    wrong: str
    caught_by: str


BUGS = [
    Bug(
        "the note does not look at the fence",
        COMMIT,
        "AND state = 'committing' AND fence = %(fence)s AND lease_until > statement_timestamp()",
        "AND state = 'committing'",
        "tests/lifecycle/test_fence.py::test_a_worker_that_slept_sends_nothing_more",
    ),
    Bug(
        "the note is not written",
        COMMIT,
        "statement_timestamp() FROM held\n)",
        "statement_timestamp() FROM held WHERE false\n)",
        f"{ANY_FAULT}[timeout before effect-read-back only]",
    ),
    Bug(
        "the attempt is not written before the send",
        COMMIT,
        "            attempt = new_attempt(row, approved, judged.plan, dict(judged.snapshot.stamps))\n",
        "            from console.models import Attempt as A\n"
        "            attempt = A(proposal=row, assessment=approved, fence=row.fence, number=1)\n",
        "tests/lifecycle/test_ways.py::test_a_change_is_committed_read_back_and_told",
    ),
    Bug(
        "a lost answer is taken for a refusal",
        COMMIT,
        "    InDoubt: Outcome.IN_DOUBT,\n",
        "    InDoubt: Outcome.REJECTED,\n",
        f"{ANY_FAULT}[slow-guarded]",
    ),
    Bug(
        "an answer is believed without a read-back",
        READBACK,
        "    if trace.seen is Seen.PRESENT and not wrong and trace.record is not None:\n",
        "    if attempt.outcome == Outcome.ANSWERED or trace.seen is Seen.PRESENT:\n",
        "tests/lifecycle/test_ways.py::test_yes_without_an_effect_is_never_called_committed",
    ),
    Bug(
        "the differences of a read-back are not looked at",
        READBACK,
        "    if trace.seen is Seen.PRESENT and not wrong and trace.record is not None:\n",
        "    if trace.record is not None and trace.seen in {Seen.PRESENT, Seen.UNCLEAR}:\n",
        f"{FAULT}::test_seven_of_nine_lines_are_a_question_with_the_difference_shown",
    ),
    Bug(
        "the digest is not compared",
        COMMIT,
        "    if judged.digest != approved.digest or",
        "    if not judged.digest or",
        "tests/lifecycle/test_voids.py::test_a_record_edited_after_the_approval_voids_it_and_shows_what_moved",
    ),
    Bug(
        "what can only be read back is sent again",
        READBACK,
        "    if not may_resend:\n",
        "    if not attempt.pk:\n",
        f"{ANY_FAULT}[timeout before effect-read-back only]",
    ),
    Bug(
        "a lease is ignored",
        READBACK,
        "    return row.lease_until is None or row.lease_until <= row.db_now\n",
        "    return True\n",
        "tests/lifecycle/test_fence.py::test_nobody_looks_while_another_holds_the_lease",
    ),
    Bug(
        "one look is enough to call it failed",
        READBACK,
        "    if not settled or _absences(attempt, adapter) < ABSENCES:\n        return _again(row, adapter)\n",
        '    if not settled:\n        return _failed(row, attempt, "Not there.", actor)\n',
        f"{ANY_FAULT}[slow-guarded]",
    ),
    Bug(
        "a look may lag, and a refusal after it is believed",
        READBACK,
        "    if not _waited(row):\n        return _again(row, adapter)\n    if contradicted:\n",
        "    if not attempt.pk:\n",
        f"{FAULT}::test_a_read_that_lags_behind_leads_to_no_second_effect[guarded]",
    ),
    Bug(
        "a state is set without comparing",
        "console/lifecycle/states.py",
        "    WHERE id = %(pk)s AND state = %(here)s AND version = %(version)s\n",
        "    WHERE id = %(pk)s\n",
        "tests/lifecycle/test_fence.py::test_a_move_from_what_is_no_longer_so_changes_nothing",
    ),
    Bug(
        "a state is changed without its audit entry",
        "console/lifecycle/states.py",
        "        proposal_version=proposal.version + 1,\n",
        "",
        "tests/lifecycle/test_ways.py::test_a_rejection_is_final",
    ),
    Bug(
        "the database does not ask for an approval",
        "console/migrations/0017_sampling.py",
        "    IF holding IS DISTINCT FROM 'committing' OR agreed = 0 THEN\n",
        "    IF false THEN\n",
        "tests/lifecycle/test_guards.py::test_an_attempt_without_an_approval_is_refused",
    ),
    Bug(
        "a kill switch is not looked at before the send",
        COMMIT,
        "        access.check_may_go_on(attempt.proposal)\n",
        "",
        "tests/lifecycle/test_holds.py::test_a_kill_switch_thrown_between_claim_and_send_stops_the_send",
    ),
    Bug(
        "a second commit of the same document is not held",
        COMMIT,
        "    if _busy(row, judged):\n",
        "    if not row.pk:\n",
        "tests/lifecycle/test_races.py::test_two_proposals_for_one_document_are_committed_one_at_a_time",
    ),
    Bug(
        "an owner may approve",
        "console/policy/__init__.py",
        "        if not one.shaped and not one.owns_agent:\n",
        "        if not one.shaped:\n",
        "tests/judges/test_policy.py",
    ),
    Bug(
        "a rule that crashes passes",
        "console/checks/__init__.py",
        "        return list(rule(case))\n    except Exception as error:  # noqa: BLE001"
        " whatever goes wrong in a rule, the answer is no\n",
        "        return list(rule(case))\n    except Exception as error:\n        return []\n",
        "tests/judges/test_checks.py",
    ),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_every_planted_bug_is_caught(bug: Bug, tmp_path: Path) -> None:
    copy = copied(tmp_path)
    file = copy / bug.file
    text = file.read_text()
    assert text.count(bug.right) == 1, f"plant this bug anew: {bug.file} reads otherwise now"
    file.write_text(text.replace(bug.right, bug.wrong))
    ran = run(copy, bug.caught_by)
    assert ran.returncode == 1, f"not caught ({ran.returncode}):\n{ran.stdout[-3000:]}"
    assert " failed" in ran.stdout, ran.stdout[-3000:]


def test_the_same_tests_pass_where_nothing_is_planted(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    for bug in BUGS:
        assert (copy / bug.file).read_text().count(bug.right) == 1, f"plant this bug anew: {bug.what}"
    ran = run(copy, *sorted({bug.caught_by for bug in BUGS}))
    assert ran.returncode == 0, ran.stdout[-3000:]


def copied(tmp_path: Path) -> Path:
    """The code and its tests, to be spoilt."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name)  # what is compiled stays so, as its source keeps its time
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def run(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy: on this run's servers, in databases of their own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        environment[name] = urlunsplit(urlsplit(os.environ[name])._replace(path=f"/teeth_{os.getpid()}"))
    environment["REDIS_URL"] = os.environ["REDIS_URL"].rsplit("/", 1)[0] + "/63"
    environment["COUNTERSIGN_VAR"] = str(copy / "var")
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *LEAN, *tests],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
