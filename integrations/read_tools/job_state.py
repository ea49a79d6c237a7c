"""What the MES says of one job on the floor."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import Field

from integrations.contract import Closed, Key, Quantity, ReadTool


class Arguments(Closed):
    """Which job."""

    order: Key = Field(
        description="The job order's id in the MES; plants use the number of the production order for it."
    )


class Answer(Closed):
    """The job as the MES has it. Age and quality are those of the reading."""

    order: Key = Field(description="The job order's id.")
    state: Literal["waiting", "ready", "running", "interrupted", "ended", "aborted"] = Field(
        description="waiting: may not start yet; ready: may start; interrupted: held or suspended."
    )
    detail: str = Field(description="The MES's own finer word for the state, such as Held; may be empty.")
    good_count: Quantity | None = Field(
        description="How much good product the job has made; null when the MES does not say."
    )
    started_at: dt.datetime | None = Field(
        description="When the job started; null when the MES does not say."
    )
    ended_at: dt.datetime | None = Field(description="When it ended; null when it has not or nobody says.")


TOOL = ReadTool(
    name="job_state",
    version=1,
    title="Job state",
    summary="Reads what the MES says of one job: its state and how much good product it has made.",
    arguments=Arguments,
    answer=Answer,
    sample={"order": "17"},
    sample_answer={
        "order": "17",
        "state": "running",
        "detail": "",
        "good_count": {"value": "12", "unit": "Unit"},
        "started_at": "2026-11-22T06:00:00Z",
        "ended_at": None,
    },
    fresh_for=dt.timedelta(minutes=5),
    # A running job goes on counting; what it is doing must not have changed.
    steady={"state": Decimal(0), "detail": Decimal(0)},
)
