"""People's marks on the answers of an agent version, counted, and what so many prove about its reading.

What counts of an answer: each person's newest mark. One "wrong" outweighs any "right"; "cannot tell" is neither.

People look again after every mark, so the bounds have to hold however often one looks: the mixture test of H. Robbins,
"Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970), with
a uniform prior. A fixed-size bound of Clopper and Pearson, asked after every mark, would let more than its 5 % through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

BAR = 0.90
"""Share of its answers that a version has to get right, as it may miss at most one in ten of its readings."""
ERROR = 0.05

COUNTS = """
WITH newest AS (
    SELECT DISTINCT ON (m.answer_id, m.by_id) m.answer_id, m.mark
    FROM console_answermark m JOIN console_liveanswer a ON a.id = m.answer_id
    WHERE a.agent_version_id = ANY(%(versions)s)
    ORDER BY m.answer_id, m.by_id, m.id DESC
), said AS (
    SELECT answer_id, CASE WHEN bool_or(mark = 'wrong') THEN 'wrong' WHEN bool_or(mark = 'right') THEN 'right'
        ELSE 'unsure' END AS mark
    FROM newest GROUP BY answer_id
)
SELECT a.agent_version_id, count(*), count(*) FILTER (WHERE s.mark = 'right'),
    count(*) FILTER (WHERE s.mark = 'wrong'), count(*) FILTER (WHERE s.mark = 'unsure')
FROM console_liveanswer a LEFT JOIN said s ON s.answer_id = a.id
WHERE a.agent_version_id = ANY(%(versions)s) GROUP BY a.agent_version_id
"""


@dataclass(frozen=True)
class Marked:
    """Counts of a version's live answers: all, and of those people marked: right, wrong, and where nobody can tell."""

    answers: int = 0
    right: int = 0
    wrong: int = 0
    unsure: int = 0

    @property
    def n(self) -> int:
        """What a share right is of: marked right or wrong."""
        return self.right + self.wrong

    @property
    def proven(self) -> bool:
        """Whether the marks prove that it is right more often than BAR: 69 right and none wrong do."""
        return tells(self.right, self.n) and self.right > BAR * self.n

    @property
    def disproven(self) -> bool:
        """Whether the marks prove that it is right less often than BAR: two wrong and none right do."""
        return tells(self.right, self.n) and self.right < BAR * self.n


def against(marked: Marked) -> str:
    """What counts that disprove it say, in words."""
    return (
        f"people marked {marked.wrong} of {marked.n} of its answers wrong, which rules out that {100 * BAR:.0f} % "
        "are right"
    )


def of_versions(versions: Sequence[int]) -> dict[int, Marked]:
    """The counts of these versions; one without answers has zeros. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"versions": list(versions)})
        found = {version: Marked(*counts) for version, *counts in cursor.fetchall()}
    return {version: found.get(version, Marked()) for version in versions}


def tells(right: int, n: int) -> bool:
    """Whether so many right of n rule out that the true share is BAR, at error ERROR over every look ever taken.

    The likelihood under a share drawn evenly from 0 to 1, over the likelihood under BAR, reaches 1 / ERROR for a
    version exactly at BAR at most once in 1 / ERROR lives (Ville's inequality).
    """
    if n == 0:
        return False
    wrong = n - right
    even = math.lgamma(right + 1) + math.lgamma(wrong + 1) - math.lgamma(n + 2)
    return even - right * math.log(BAR) - wrong * math.log1p(-BAR) >= -math.log(ERROR)
