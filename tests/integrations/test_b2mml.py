"""B2MML files. The messages here are ours, written after B2MML V0700; no MES that we did not write laid them."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from integrations.b2mml.adapter import ADAPTER, Floor
from integrations.b2mml.messages import HEARD, MOST_BYTES, NAMESPACE, NOUNS, VERBS, Refused, message
from integrations.contract import Account, Sample, Unavailable
from integrations.scan import read_tools
from tests.integrations.conformance import named
from tests.integrations.listening import LISTENER_CLAIMS, Ear, Heard, listening, until

CREATED = "2026-11-22T10:00:00Z"

JOB = """<JobResponse><ID>JR1</ID><StartTime>2026-11-22T06:00:00Z</StartTime><WorkType>Production</WorkType>
<JobOrderID>17</JobOrderID><JobState>Running</JobState>
<MaterialActual><MaterialDefinitionID>OAK</MaterialDefinitionID><MaterialUse>Consumed</MaterialUse>
<Quantity><QuantityString>36</QuantityString><UnitOfMeasure>m2</UnitOfMeasure></Quantity></MaterialActual>
<MaterialActual><MaterialDefinitionID>TABLE</MaterialDefinitionID><MaterialUse>Produced</MaterialUse>
<Quantity><QuantityString>12.50</QuantityString><UnitOfMeasure>Unit</UnitOfMeasure></Quantity></MaterialActual>
</JobResponse>"""
WORK = f"""<WorkPerformance><ID>WP1</ID><WorkScheduleID>WS1</WorkScheduleID>
<WorkResponse><ID>WR1</ID>{JOB}</WorkResponse></WorkPerformance>"""
OPERATIONS = """<OperationsPerformance><ID>OP1</ID><OperationsResponse><ID>OR1</ID>
<OperationsRequestID>17</OperationsRequestID><ResponseState>Running</ResponseState>
<SegmentResponse><ID>SR1</ID><MaterialActual><MaterialUse>Material Produced</MaterialUse>
<Quantity><QuantityString>12.5</QuantityString><UnitOfMeasure>Unit</UnitOfMeasure></Quantity></MaterialActual>
</SegmentResponse></OperationsResponse></OperationsPerformance>"""
BODIES = {"WorkPerformance": WORK, "JobResponse": JOB, "OperationsPerformance": OPERATIONS}


def xml(verb: str = "Show", noun: str = "WorkPerformance", body: str = "", created: str = CREATED) -> bytes:
    body = body or BODIES.get(noun, f"<{noun}/>")
    return (
        f'<?xml version="1.0"?><{verb}{noun} xmlns="{NAMESPACE}" releaseID="0700"><ApplicationArea>'
        f"<CreationDateTime>{created}</CreationDateTime><BODID>B-1</BODID></ApplicationArea>"
        f"<DataArea><{verb}/>{body}</DataArea></{verb}{noun}>"
    ).encode()


def only(raw: bytes) -> Sample:
    (found,) = message(raw).samples
    return found


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("verb", HEARD)
def test_an_accepted_message_tells_the_job(verb: str, noun: str) -> None:
    got = only(xml(verb, noun))
    assert got.arguments == {"order": "17"}
    assert got.value is not None
    assert (got.value["state"], got.value["good_count"]) == ("running", {"value": "12.5", "unit": "Unit"})
    assert got.source_time == dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
    assert not got.lasting
    answer = read_tools()["job_state"].answer
    assert answer.model_validate(got.value, strict=False).model_dump(mode="json") == got.value


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in HEARD])
@pytest.mark.parametrize("noun", NOUNS)
def test_every_other_verb_is_refused_by_name(verb: str, noun: str) -> None:
    with pytest.raises(Refused, match=f"the verb {verb} is refused"):
        message(xml(verb, noun))


@pytest.mark.parametrize("noun", ["JobOrder", "WorkSchedule", "Equipment", "ProductionSchedule", "Foo"])
def test_every_other_noun_is_refused_by_name(noun: str) -> None:
    with pytest.raises(Refused, match=f"{noun} is no noun that is read"):
        message(xml("Show", noun))


BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><ShowWorkPerformance>&c;</ShowWorkPerformance>"""
STEAL = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<ShowWorkPerformance>&f;</ShowWorkPerformance>"""
FETCH = b"""<?xml version="1.0"?><!DOCTYPE b SYSTEM "http://127.0.0.1:9/x.dtd"><ShowWorkPerformance/>"""


@pytest.mark.parametrize("raw", [BOMB, STEAL, FETCH], ids=["bomb", "file", "address"])
def test_document_types_and_entities_are_refused_unresolved(raw: bytes) -> None:
    with pytest.raises(Refused, match="document type or entities") as caught:
        message(raw)
    assert "root:" not in str(caught.value)


SHOWN = xml().decode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not well-formed"),
        (b"\x00\xff\xfe", "not well-formed"),
        (b"<a", "not well-formed"),
        (b"<?xml version='1.0' encoding='x-none'?><a/>", "not well-formed"),
        (b" " * (MOST_BYTES + 1), "at most 5,000,000 are read"),
        (b"<ShowWorkPerformance/>", "not in the namespace"),
        (SHOWN.replace(NAMESPACE, "urn:other").encode(), "not in the namespace"),
        (SHOWN.replace("ShowWorkPerformance", "WorkPerformance").encode(), "has no verb"),
        (
            SHOWN.replace(f"<CreationDateTime>{CREATED}</CreationDateTime>", "").encode(),
            "has no <CreationDateTime>",
        ),
        (xml(created="yesterday"), "no time as ISO 8601"),
        (xml(created="2026-11-22T10:00:00"), "without a time zone"),
        (SHOWN.replace("<Show/>", "<Process/>").encode(), "begins with something else than <Show>"),
        (SHOWN.replace("<Show/>", "").encode(), "begins with something else than <Show>"),
        (xml(body="<Other/>"), "holds no <WorkPerformance>"),
        (SHOWN.replace("<JobOrderID>17</JobOrderID>", "").encode(), "JobResponse> has no <JobOrderID>"),
        (
            SHOWN.replace("<JobOrderID>17</JobOrderID>", "<JobOrderID/>").encode(),
            "JobResponse JR1: <JobOrderID> is empty",
        ),
        (SHOWN.replace(">17<", ">&lt;script&gt;<").encode(), "is no id that an order can have"),
        (SHOWN.replace("Running", "Lunch").encode(), "JR1: the state 'Lunch' is none of"),
        (SHOWN.replace("12.50", "1e9").encode(), "the quantity '1e9' is no plain decimal"),
        (SHOWN.replace("12.50", "-5").encode(), "the quantity '-5' is no plain decimal"),
        (SHOWN.replace("06:00:00Z", "6 o'clock").encode(), "StartTime is"),
        (xml(body=WORK + WORK), "tells of the job 17 twice"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_wrong(raw: bytes, why: str) -> None:
    with pytest.raises(Refused) as caught:
        message(raw)
    assert why in str(caught.value)


def test_products_in_two_units_give_no_count() -> None:
    two = SHOWN.replace("Consumed", "Produced").encode()
    assert only(two).value["good_count"] is None  # type: ignore[index]


# The folder


def heard_from(folder: Path) -> AbstractContextManager[Ear]:
    return listening(ADAPTER, {"folder": str(folder), "beat": 0.02}, Account("", ""))


@pytest.mark.parametrize("claim", LISTENER_CLAIMS, ids=named)
def test_it_keeps_the_listeners_contract(claim: Callable[[Heard], None], tmp_path: Path) -> None:
    ours: set[str] = set()

    def says(order: str) -> None:
        ours.add("told.xml")
        (tmp_path / "told.xml").write_bytes(xml(body=WORK.replace(">17<", f">{order}<")))

    claim(
        Heard(
            adapter=ADAPTER,
            path="integrations.b2mml.adapter",
            options={"folder": str(tmp_path), "beat": 0.02},
            account=Account("", ""),
            says=says,
            nowhere={"folder": str(tmp_path / "gone")},
            did=lambda: [path.name for path in tmp_path.iterdir() if path.name not in ours],
        )
    )


def looks(heard: Ear, more: int = 5) -> None:
    """Several looks later."""
    wanted = heard.lives + more
    until(lambda: heard.lives >= wanted, "it looks no longer")


def test_a_file_is_heard_once_and_left_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(xml())
    before = path.stat()
    with heard_from(tmp_path) as heard:
        until(lambda: heard.samples, "the file was never read")
        looks(heard)
    assert len(heard.samples) == 1
    assert heard.samples[0].mark == "a.xml B-1"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (xml(), before.st_mtime_ns)
    assert [one.name for one in tmp_path.iterdir()] == ["a.xml"]


def test_a_file_that_is_still_being_written_counts_when_it_is_whole(tmp_path: Path) -> None:
    whole = xml()
    with heard_from(tmp_path) as heard, (tmp_path / "slow.xml").open("wb", buffering=0) as file:
        file.write(whole[:300])
        looks(heard)
        assert heard.samples == []
        file.write(whole[300:])
        until(lambda: heard.samples, "the file was never read")
    assert len(heard.samples) == 1


def test_a_refused_file_stays_and_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_bytes(xml("Process"))
    (tmp_path / "good.xml").write_bytes(xml())
    with heard_from(tmp_path) as heard:
        until(lambda: heard.samples and heard.faults, "the files were never read")
        looks(heard)
    assert len(heard.faults) == 1
    assert heard.faults[0].startswith("bad.xml: the verb Process is refused")
    assert (tmp_path / "bad.xml").exists()


def test_a_mended_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(xml("Process"))
    with heard_from(tmp_path) as heard:
        until(lambda: heard.faults, "the file was never read")
        (tmp_path / "a.xml").write_bytes(xml())
        until(lambda: heard.samples, "the mended file was never read")


def test_a_report_that_comes_late_does_not_undo_a_newer_one(tmp_path: Path) -> None:
    (tmp_path / "new.xml").write_bytes(xml(created="2026-11-22T12:00:00Z"))
    with heard_from(tmp_path) as heard:
        until(lambda: heard.samples, "the file was never read")
        (tmp_path / "old.xml").write_bytes(xml(created="2026-11-22T11:00:00Z"))
        looks(heard)
    assert len(heard.samples) == 1


def test_links_and_old_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "link.xml").symlink_to("/etc/passwd")
    (tmp_path / "old.xml").write_bytes(xml())
    os.utime(tmp_path / "old.xml", (0, 0))
    with heard_from(tmp_path) as heard:
        looks(heard)
    assert (heard.samples, heard.faults) == ([], [])


def test_a_folder_that_goes_is_unavailable(tmp_path: Path) -> None:
    floor = Floor({"folder": str(tmp_path / "gone")}, Account("", ""))
    with pytest.raises(Unavailable, match="is not there"):
        floor.ping()
    with pytest.raises(Unavailable):
        floor.run(Ear(), threading.Event())


def test_the_console_says_that_it_is_not_verified() -> None:
    assert ADAPTER.verified == ""
