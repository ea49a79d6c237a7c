"""Versions of one agent beside each other on one transaction type: told apart only where the figures do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from django.db import connection

from console.evals.bounds import wilson

COUNTED = """
SELECT g.name, v.id, v.label, count(*), count(*) FILTER (WHERE d.overridden)
FROM console_decided d JOIN console_grant g ON g.id = d.grant_id JOIN console_agentversion v ON v.id = g.version_id
WHERE v.agent_id = %s GROUP BY g.name, v.id, v.label ORDER BY g.name, v.id DESC
"""


@dataclass(frozen=True)
class Overridden:
    """Of `decided` proposals of one version on one type, people overrode `overridden`."""

    label: str
    overridden: int
    decided: int


def told_apart(versions: Sequence[Overridden]) -> list[str]:
    """What the figures say of versions against each other, in sentences; pure.

    Two versions are told apart only where Wilson's 95 % intervals do not overlap. There is no order and no best: a
    version with few decisions may be the better one.
    """
    counted = [(one, wilson(one.overridden, one.decided)) for one in versions if one.decided]
    found = []
    for (one, first), (other, second) in combinations(counted, 2):
        if first[1] < second[0] or second[1] < first[0]:
            less, more = (one, other) if first[1] < second[0] else (other, one)
            found.append(
                f"{less.label} was overridden less often than {more.label}: their intervals do not overlap."
            )
    if not found and len(counted) > 1:
        found.append("The intervals overlap: these figures do not say which version is better.")
    return found


def of_agent(agent_id: int) -> dict[str, list[Overridden]]:
    """Every type on which people have decided, to its versions, the newest version first. One statement."""
    found: dict[str, list[Overridden]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, [agent_id])
        for name, _, label, decided, overridden in cursor.fetchall():
            found.setdefault(name, []).append(Overridden(label, overridden, decided))
    return found
