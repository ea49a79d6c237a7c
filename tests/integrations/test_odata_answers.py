"""The OData client against answers that CAP does not give: recorded shapes, and another server.

For the recorded shapes a few lines of ours stand in for a server. The other server, simple-odata-server, is not ours.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.contract import Account, InDoubt, Rejected, Unavailable, Unsupported
from integrations.odata.client import Service
from integrations.odata.host import Http
from integrations.odata.shapes import Change
from tests.rigs import cap as rig
from tests.rigs import npm

Answering = Callable[[http.server.BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]

METADATA = b"""<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="T">
<Key><PropertyRef Name="Id"/></Key>
<Property Name="Id" Type="Edm.String"/><Property Name="A" Type="Edm.String"/></EntityType>
<Action Name="Do" IsBound="true"><Parameter Name="it" Type="N.T"/><Parameter Name="Why" Type="Edm.String"/></Action>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="N.T"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


@contextlib.contextmanager
def standing_in(answering: Answering) -> Iterator[tuple[Service, list[str]]]:
    """A service that answers as told, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path}")
            if self.path.endswith("$metadata"):
                status, headers, body = 200, {"Content-Type": "application/xml"}, METADATA
            elif self.path == "/odata/":
                status, headers, body = 200, JSON, b"{}"
            else:
                status, headers, body = answering(self)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 the library's names

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    stand_in = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=stand_in.serve_forever, daemon=True).start()
    host = Http({"url": f"http://127.0.0.1:{stand_in.server_address[1]}"}, Account("a", "b"))
    try:
        yield Service(host, "/odata"), asked
    finally:
        host.close()
        stand_in.shutdown()
        stand_in.server_close()


JSON = {"Content-Type": "application/json"}


def test_a_group_of_which_one_part_failed_has_failed_whatever_the_others_say() -> None:
    # Seen of a server: 201 with a Location for a part of a group that was rolled back.
    def lies(_handler: Any) -> tuple[int, dict[str, str], bytes]:
        parts = (
            (b"201 Created", b'{"Id":"1"}'),
            (b"400 Bad Request", b'{"error":{"code":"X/1","message":"No"}}'),
        )
        body = b"--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
        for status, said in parts:
            body += b"--i\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 " + status
            body += b"\r\nContent-Type: application/json\r\nLocation: Things('1')\r\n\r\n" + said + b"\r\n"
        return 200, {"Content-Type": "multipart/mixed; boundary=o"}, body + b"--i--\r\n--o--\r\n"

    changes = [Change("Things", {"Id": one}, {"A": "x"}, "") for one in "12"]
    with standing_in(lies) as (service, asked), pytest.raises(Rejected, match=r"No .X/1"):
        service.change_all(changes)
    assert sum("$batch" in one for one in asked) == 1


def test_a_group_of_which_a_part_was_not_answered_is_a_doubt() -> None:
    def short(_handler: Any) -> tuple[int, dict[str, str], bytes]:
        body = b"--o\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--o--\r\n"
        return 202, {"Content-Type": "multipart/mixed; boundary=o"}, body

    with standing_in(short) as (service, _), pytest.raises(InDoubt, match="2 changes were sent and 1"):
        service.change_all([Change("Things", {"Id": one}, {"A": "x"}, "") for one in "12"])


def test_a_next_page_elsewhere_is_never_visited() -> None:
    visited: list[str] = []
    with standing_in(lambda _: (200, JSON, b'{"value":[]}')) as (elsewhere, strangers):

        def pages(handler: Any) -> tuple[int, dict[str, str], bytes]:
            visited.append(handler.path)
            link = f"{elsewhere.http.base}/steal?$skiptoken=2"
            more = f',"@odata.nextLink":"{link}"' if "skiptoken" not in handler.path else ""
            return 200, JSON, f'{{"value":[{{"Id":"{len(visited)}"}}]{more}}}'.encode()

        with standing_in(pages) as (service, _):
            assert [one.values["Id"] for one in service.rows("Things").entities] == ["1", "2"]
    assert visited[1] == "/odata/Things?$skiptoken=2"
    assert strangers == []


def test_messages_in_a_header_and_in_the_entity_are_kept_and_so_is_what_it_says_of_repeats() -> None:
    header = '[{"code":"A/1","message":"In the header","target":"X","numericSeverity":2}]'
    inside = b'{"Id":"1","SAP__Messages":[{"code":"B/2","message":"Inside","numericSeverity":3}]}'
    said = {**JSON, "sap-messages": header, "RepeatabilityResult": "accepted", "ETag": 'W/"2"'}
    with standing_in(lambda _: (200, said, inside)) as (service, _):
        done = service.change("Things", {"Id": "1"}, {"A": "x"}, etag='W/"1"', request="ab" * 16)
    assert [(one["severity"], one["code"]) for one in done.evidence["messages"]] == [
        ("info", "A/1"),
        ("warning", "B/2"),
    ]
    assert done.evidence["repeatability"] == "accepted"


def test_nothing_may_be_said_by_an_empty_answer_or_an_empty_list() -> None:
    for status, body in ((204, b""), (200, b'{"value":[]}'), (404, b"")):
        with standing_in(lambda _, s=status, b=body: (s, JSON, b)) as (service, _):  # type: ignore[misc]
            assert service.one("Things", {"Id": "1"}) is None


# A server of OData V4 that knows nothing of SAP: no tokens, no ETags, no batches


def test_another_server_is_read_and_written_by_its_metadata_alone(tmp_path: Path) -> None:
    home = npm.installed("simple_odata")
    with (
        rig.served(tmp_path, home, home / "server.js", {}) as port,
        contextlib.closing(Http({"url": f"http://127.0.0.1:{port}"}, Account("a", "b"))) as host,
    ):
        service = Service(host, "/odata")
        which = {"_id": "A-7"}
        assert service.one("orders", which) is None
        made = service.create("orders", {**which, "Name": "O'Öse", "Quantity": 7, "Open": True})
        assert made.status == 201
        found = service.one("orders", which)
        assert found is not None
        assert found.values == {**which, "Name": "O'Öse", "Quantity": 7, "Open": True}
        assert found.etag == ""
        done = service.change("orders", which, {"Quantity": 8}, etag="")
        assert (done.status, done.entity) == (204, None)
        rows = service.rows("orders", [("Quantity", "gt", 7), ("Open", "eq", True)], order="Name")
        assert [one.values["Name"] for one in rows.entities] == ["O'Öse"]
        with pytest.raises(Unsupported, match="takes a number"):
            service.change("orders", which, {"Quantity": "many"}, etag="")


def test_a_write_answered_by_204_tells_its_etag_and_a_creation_its_place() -> None:
    def terse(_handler: Any) -> tuple[int, dict[str, str], bytes]:
        return 204, {"ETag": 'W/"2"', "OData-EntityId": "Things('1')"}, b""

    with standing_in(terse) as (service, _):
        done = service.change("Things", {"Id": "1"}, {"A": "x"}, etag='W/"1"')
        assert (done.status, done.etag, done.entity) == (204, 'W/"2"', None)
        assert service.create("Things", {"Id": "1"}).location == "Things('1')"


def test_a_request_that_was_carried_out_before_is_a_doubt_and_no_refusal() -> None:
    said = b'{"error":{"code":"/IWBEP/CM_COS/005","message":"RequestID is outdated"}}'
    with (
        standing_in(lambda _: (400, JSON, said)) as (service, _),
        pytest.raises(InDoubt, match="carried out this request before"),
    ):
        service.change("Things", {"Id": "1"}, {"A": "x"}, etag="1")


def test_an_error_inside_a_success_is_no_success() -> None:
    half = b'{"error":{"code":"X","message":"Half way"}}'
    with (
        standing_in(lambda _: (200, JSON, half)) as (service, _),
        pytest.raises(Unavailable, match="An error inside a success"),
    ):
        service.rows("Things")


def test_a_bound_action_is_called_on_its_entity_with_the_etag_that_was_read() -> None:
    seen: list[tuple[str, str | None, bytes]] = []

    def acts(handler: Any) -> tuple[int, dict[str, str], bytes]:
        if handler.command == "POST":
            seen.append((handler.path, handler.headers["If-Match"], handler.body))
        return 200, JSON, b'{"value":"done"}'

    with standing_in(acts) as (service, _):
        answer = service.call("Do", {"Why": "because"}, on=("Things", {"Id": "a/b"}), etag='W/"1"')
    assert seen == [("/odata/Things('a%2Fb')/N.Do", 'W/"1"', b'{"Why":"because"}')]
    assert answer["result"] == {"value": "done"}
