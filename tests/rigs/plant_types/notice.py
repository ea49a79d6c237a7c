"""Tell the people of a plant something through its middleware. It is about no record of any system."""

import datetime as dt

import pydantic

from integrations.contract import Case, Closed, Facts, Field, Record, Snapshot, Text, TransactionType


class Payload(Closed):
    """Where, and what."""

    place: Text = pydantic.Field(description="Where it is to be read.")
    text: Text = pydantic.Field(description="What is to be read there.")


def _facts(_case: Case) -> Facts:
    return Facts(value=None, reversible=True)


SAMPLE = {"place": "Hall 2", "text": "The saw is serviced on Friday."}

TYPE = TransactionType(
    name="plant_notice",
    version=1,
    title="Post a notice",
    summary="Tell the people of a plant something.",
    record="notice",
    payload=Payload,
    target=lambda _payload: None,
    fields=(Field("place", "Place"), Field("text", "Text")),
    rules=(),
    limits=(),
    facts=_facts,
    outcome=lambda payload, _snapshot: Record({"place": payload.place, "text": payload.text}),
    reversal=lambda _payload, _snapshot: None,
    sample=SAMPLE,
    sample_snapshot=Snapshot(
        "", "Post a notice", Record({}), {}, {}, dt.datetime(2026, 11, 2, tzinfo=dt.UTC), "a middleware"
    ),
)
