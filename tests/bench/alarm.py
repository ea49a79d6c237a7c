"""From the mistake that is one too many to a grant back in shadow, through beat, broker and worker as a demo has them.

`python -m tests.bench.alarm PORT TRIALS` plays agents that are refused by a check again and again; the time is between
two stamps of the database: the entry of the refusal that raises the alarm, and the demotion.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from console.environment import ROOT
from tests.bench import meters
from tests.bench.driver import Http
from tests.bench.pages import Scale, filled
from tests.bench.stack import CONNECTION, Stack

TYPE = "production_order_reschedule"
IN_A_ROW = 5
"""So many refusals and nothing else raise the alarm: 5 ln 3 is above the threshold of 5, 4 ln 3 is not."""
MOST_SECONDS = 60
FELL = """
SELECT extract(epoch FROM g.demoted_at - max(e.at))::float8, count(*)
FROM console_grant g JOIN console_proposal p ON p.grant_id = g.id
JOIN console_auditentry e ON e.proposal_id = p.id AND e.verb = 'proposal.refuse'
WHERE g.id = %s AND g.demoted_at IS NOT NULL GROUP BY g.id
"""


def measure(
    made: Stack, scale: Scale, *, web: tuple[int, int], threads: int, trials: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds from the last refusal to the demotion, one a trial, on a console of this size."""
    env, _ = filled(made, scale, say)
    kept = {key: made.env[key] for key in env}
    made.env |= env
    try:
        made.start_web(workers=web[0], threads=web[1])
        made.start_worker(threads=threads)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.alarm", str(made.port), str(trials)],
            cwd=ROOT,
            env=made.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"no alarm was measured:\n{done.stderr[-3000:]}\n{made.said('worker')}")
    finally:
        made.end("web", "worker", "beat")
        made.env |= kept
    took: list[float] = json.loads(done.stdout)
    return {"seconds": took, "p50": meters.middle(took), "most": max(took)}


def main(port: int, trials: int) -> None:
    """Print the seconds as JSON. RuntimeError when an alarm does not come."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    import django  # noqa: PLC0415 the settings are named first

    django.setup()
    from console.audit import OPERATOR  # noqa: PLC0415 needs Django to be set up
    from console.registry import connections  # noqa: PLC0415 the same

    plant = next(one for one in connections.mirror(actor=OPERATOR) if one.name == CONNECTION)
    print(json.dumps([_trial(Http(port), plant) for _ in range(trials)]))  # noqa: T201 read by `measure`


def _trial(http: Http, plant: Any) -> float:
    from django.contrib.auth.models import User  # noqa: PLC0415 needs Django to be set up
    from django.db import connection  # noqa: PLC0415 the same

    from console import references  # noqa: PLC0415 the same
    from tests import cast  # noqa: PLC0415 the same

    name = references.new("BA").lower()
    owner, _ = User.objects.get_or_create(username="alarm-owner")
    version = cast.version(cast.agent(owner, slug=name))
    grant = cast.grant(version, "type", TYPE, plant)
    key = cast.key(version)
    # Beat looks every few seconds; a trial begins at any moment between two looks.
    time.sleep(random.uniform(0, 3))
    day = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=30)).isoformat()
    for number in range(IN_A_ROW):
        payload = {"order": str(1 + number), "planned_start": day, "planned_finish": day}
        body = {
            "transaction_type": TYPE,
            "payload": payload,
            "rationale": "It was due.",
            "connection": CONNECTION,
        }
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{name}-{number}",
        }
        status, raw = http.send("POST", "/api/v1/proposals", headers, json.dumps(body).encode())
        if status not in {200, 202}:
            raise RuntimeError(f"a proposal was answered {status}: {raw[:500]!r}")
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(FELL, [grant.pk])
            found = cursor.fetchone()
        if found is not None:
            seconds, refused = found
            if refused != IN_A_ROW:
                raise RuntimeError(
                    f"it fell after {refused} refusals, not {IN_A_ROW}: nothing is known of the time"
                )
            return float(seconds)
        time.sleep(0.1)
    raise RuntimeError("no alarm came within a minute")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
