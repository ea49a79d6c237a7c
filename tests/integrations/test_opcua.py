"""The OPC UA listener against OPC Foundation's nodeset in a server of its own, whose every control method tells."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from integrations.contract import Account, OutOfScope, Quality, Unavailable
from integrations.opcua.adapter import ADAPTER, Floor
from integrations.opcua.guard import QUERIES, SERVICES, Guard, guarded
from integrations.scan import read_tools
from tests.integrations.conformance import a_port_where_nothing_listens, named
from tests.integrations.listening import LISTENER_CLAIMS, Ear, Heard, listening, until
from tests.rigs.keys import self_signed
from tests.rigs.mes_opcua import LOGIN, SECRET, Mes, mes

READER = Account(LOGIN, SECRET)
RUNNING, HELD, ENDED = [[3, "Running"]], [[4, "Interrupted"], [1, "Held"]], [[5, "Ended"], [1, "Completed"]]


def heard_from(server: Mes) -> AbstractContextManager[Ear]:
    return listening(ADAPTER, server.options, READER)


@pytest.fixture(scope="module")
def server() -> Iterator[Mes]:
    with mes(a_port_where_nothing_listens()) as one:
        yield one


@pytest.fixture(scope="module")
def asked_server() -> Iterator[Mes]:
    """One whose provider has no list of responses: they must be asked for."""
    with mes(a_port_where_nothing_listens(), "no-list") as one:
        yield one


@pytest.mark.parametrize("claim", LISTENER_CLAIMS, ids=named)
def test_it_keeps_the_listeners_contract(claim: Callable[[Heard], None], server: Mes) -> None:
    server.tell()
    nowhere = {**server.options, "url": f"opc.tcp://127.0.0.1:{a_port_where_nothing_listens()}/"}
    claim(
        Heard(
            adapter=ADAPTER,
            path="integrations.opcua.adapter",
            options=server.options,
            account=READER,
            says=lambda order: server.tell(jobs={order: RUNNING}, responses=[response(order)]),
            nowhere=nowhere,
            did=server.was_asked_to,
            wrong=Account(LOGIN, "a wrong secret"),
        )
    )


def response(order: str = "17", **fields: Any) -> dict[str, Any]:
    return {"order": order, "made": "12.500", **fields}


def test_a_running_job_is_heard_with_its_count_and_times(server: Mes) -> None:
    server.tell(jobs={"17": RUNNING}, responses=[response()], age=30)
    with heard_from(server) as ear:
        got = until(lambda: ear.of("17"), "the job was never heard")
        until(lambda: ear.lives, "there was never a sign of life")
    assert got.quality is Quality.GOOD
    assert got.value == {
        "order": "17",
        "state": "running",
        "detail": "",
        "good_count": {"value": "12.5", "unit": "Unit"},
        "started_at": "2026-11-22T06:00:00Z",
        "ended_at": None,
    }
    assert read_tools()["job_state"].answer.model_validate_json(json.dumps(got.value)).model_dump(
        mode="json"
    ) == dict(got.value)
    assert got.server_time is not None
    assert got.source_time is not None
    assert (got.server_time - got.source_time).total_seconds() > 20


def test_a_change_is_heard_with_its_substate(server: Mes) -> None:
    server.tell(jobs={"17": RUNNING})
    with heard_from(server) as ear:
        until(lambda: ear.of("17"), "the job was never heard")
        server.tell(jobs={"17": HELD})
        got = until(
            lambda: next((s for s in ear.samples if s.value and s.value["state"] == "interrupted"), None),
            "the hold was never heard",
        )
    assert got.value["detail"] == "Held"


@pytest.mark.parametrize(
    "status", ["UncertainLastUsableValue", "BadNoCommunication", "BadWaitingForInitialData", "GoodClamped"]
)
def test_a_status_that_is_not_plainly_good_never_passes(server: Mes, status: str) -> None:
    server.tell(jobs={"17": RUNNING})
    with heard_from(server) as ear:
        until(lambda: ear.of("17"), "the job was never heard")
        server.tell(jobs={"17": RUNNING}, status=status, age=600)
        got = until(
            lambda: next((s for s in ear.samples if s.quality is not Quality.GOOD), None), "it stayed good"
        )
    assert got.quality is Quality.UNCERTAIN
    assert got.remark == f"OPC UA says {status}"


def test_a_job_that_its_list_and_its_response_tell_differently_is_uncertain(server: Mes) -> None:
    server.tell(jobs={"17": RUNNING}, responses=[response(number=5)])
    with heard_from(server) as ear:
        got = until(lambda: ear.of("17"), "the job was never heard")
    assert got.quality is Quality.UNCERTAIN
    assert got.remark == "the MES contradicts itself: this job is ended and running"


def test_a_job_that_is_listed_no_longer_is_uncertain(server: Mes) -> None:
    server.tell(jobs={"17": RUNNING, "18": RUNNING})
    with heard_from(server) as ear:
        until(lambda: ear.of("18"), "the job was never heard")
        server.tell(jobs={"17": RUNNING})
        got = until(
            lambda: (one := ear.of("18")) and one.quality is not Quality.GOOD and one, "it was never missed"
        )
    assert got.remark == "the MES lists this job no longer"
    assert ear.of("17").quality is Quality.GOOD  # type: ignore[union-attr]


def test_an_ended_job_is_told_by_its_response_alone(server: Mes) -> None:
    server.tell(jobs={}, responses=[response(number=5)])
    with heard_from(server) as ear:
        got = until(lambda: ear.of("17"), "the job was never heard")
    assert (got.value["state"], got.quality) == ("ended", Quality.GOOD)


def test_several_responses_of_one_job_give_no_count(server: Mes) -> None:
    server.tell(jobs={"17": RUNNING}, responses=[response(), response(ident="JR2", made="40")])
    with heard_from(server) as ear:
        got = until(lambda: ear.of("17"), "the job was never heard")
    assert got.value["good_count"] is None


def test_what_is_no_structure_of_the_standard_is_refused_and_spoils_the_list(server: Mes) -> None:
    server.tell(jobs={"17": RUNNING})
    with heard_from(server) as ear:
        until(lambda: ear.of("17"), "the job was never heard")
        server.tell(jobs={"17": RUNNING}, strange=True)
        until(lambda: ear.faults, "nothing was refused")
        got = until(
            lambda: next((s for s in ear.samples if s.quality is not Quality.GOOD), None), "it stayed good"
        )
    assert "none of OPC 10031-4" in ear.faults[0]
    assert got.quality is Quality.UNCERTAIN


def test_a_job_id_that_no_order_can_have_is_refused_by_name(server: Mes) -> None:
    server.tell(jobs={"<script>": RUNNING, "17": RUNNING})
    with heard_from(server) as ear:
        until(lambda: ear.faults and ear.of("17"), "nothing was refused")
    assert "'<script>'" in ear.faults[0]
    assert ear.of("<script>") is None


def test_responses_are_asked_for_where_there_is_no_list_of_them(asked_server: Mes) -> None:
    asked_server.tell(jobs={"17": RUNNING}, responses=[response(made="7")])
    with heard_from(asked_server) as ear:
        got = until(
            lambda: next((s for s in ear.samples if s.value and s.value["good_count"]), None),
            "nobody asked for the count",
        )
    assert got.value["good_count"] == {"value": "7", "unit": "Unit"}
    assert asked_server.was_asked_to() == []
    assert {"asked": "17"} in asked_server.seen


def test_a_server_that_dies_ends_the_session_with_a_reason() -> None:
    with mes(a_port_where_nothing_listens()) as mortal:
        mortal.tell(jobs={"17": RUNNING})
        with heard_from(mortal) as ear:
            until(lambda: ear.lives, "there was never a sign of life")
            mortal.kill()
            until(lambda: ear.end, "the session outlived its server")
            lives = ear.lives
    assert isinstance(ear.end, Unavailable)
    assert ear.lives == lives
    assert SECRET not in str(ear.end)


def test_security_must_be_said(server: Mes) -> None:
    options = {name: value for name, value in server.options.items() if name != "security"}
    with pytest.raises(Unavailable, match="has no option `security`"):
        Floor(options, READER).ping()


def test_an_encrypted_session_needs_the_servers_own_certificate(tmp_path: Path) -> None:
    self_signed(tmp_path, "server", "urn:freeopcua:python:server")
    self_signed(tmp_path, "reader", "urn:countersign:reader")
    self_signed(tmp_path, "stranger", "urn:freeopcua:python:server")
    with mes(a_port_where_nothing_listens(), f"keys={tmp_path}") as secret_server:

        def with_certificate_of(name: str, **other: str) -> Floor:
            security = {
                "policy": "Basic256Sha256",
                "certificate": str(tmp_path / "reader.der"),
                "private_key": str(tmp_path / "reader.pem"),
                "server_certificate": str(tmp_path / f"{name}.der"),
                **other,
            }
            return Floor({**secret_server.options, "timeout": 2, "security": security}, READER)

        assert with_certificate_of("server").describe()["account"] == LOGIN
        with pytest.raises(Unavailable):
            with_certificate_of("stranger").ping()
        with pytest.raises(Unavailable, match="answered"):
            Floor(secret_server.options, READER).ping()
        with pytest.raises(Unavailable, match=r"security\.policy is one of Basic256Sha256"):
            with_certificate_of("server", policy="Basic128Rsa15").ping()
        with pytest.raises(Unavailable, match=r"security\.server_certificate names no file"):
            with_certificate_of("nobody").ping()


def test_a_server_describes_itself(server: Mes) -> None:
    told = Floor(server.options, READER).describe()
    assert told["lists"] == ["JobOrderList", "JobOrderResponseList"]
    assert told["account"] == LOGIN


# What it may not do


REQUESTS = sorted(name for name in vars(ua) if re.fullmatch(r"\w+Request", name) and name != "CallRequest")


def test_every_service_of_opc_ua_that_is_not_on_the_list_is_refused() -> None:
    guard, passed = Guard(), set()
    for name in REQUESTS:
        try:
            guard.observe_request(getattr(ua, name)())
        except OutOfScope:
            continue
        passed.add(name)
    assert passed == SERVICES
    assert {"WriteRequest", "HistoryUpdateRequest", "AddNodesRequest", "DeleteNodesRequest"} <= set(REQUESTS)


def test_no_method_passes_but_the_two_queries_by_namespace_and_number() -> None:
    guard, passed = Guard(), set()
    guard.allow_queries(4)
    for namespace in range(6):
        for number in range(6900, 7200):  # all methods of OPC 10031-4, ReceiveJobResponse among them
            request = ua.CallRequest()
            request.Parameters.MethodsToCall = [
                ua.CallMethodRequest(MethodId=ua.NodeId(one, at))
                for one, at in ((number, namespace), (QUERIES["RequestJobResponseByJobOrderID"], 4))
            ]
            with contextlib.suppress(OutOfScope):
                guard.observe_request(request)
                passed.add((number, namespace))
    assert passed == {(number, 4) for number in QUERIES.values()}


METHODS = {
    "Abort": 7010,
    "Cancel": 7011,
    "Clear": 7012,
    "Pause": 7007,
    "Resume": 7008,
    "RevokeStart": 7013,
    "Start": 7005,
    "Stop": 7006,
    "Store": 7001,
    "StoreAndStart": 7004,
    "Update": 7009,
}


def test_even_its_own_client_cannot_write_or_call_a_command(server: Mes) -> None:
    """The server would let it: the nodes are writable and the methods executable for this account."""

    async def try_all() -> list[str]:
        client, guard = guarded(str(server.options["url"]), timeout=5)
        client.set_user(LOGIN)
        client.set_password(SECRET)
        refused = []
        async with client:
            namespaces = await client.get_namespace_array()
            ns = namespaces.index("http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/")
            me = namespaces.index("urn:countersign:rig:mes")
            guard.allow_queries(ns)
            line = await client.nodes.objects.get_child([f"{me}:Line1"])
            receiver = await line.get_child([f"{me}:JobOrderReceiver"])
            jobs = await receiver.get_child([f"{ns}:JobOrderList"])
            tries: dict[str, Callable[[], Any]] = {
                name: partial(receiver.call_method, ua.NodeId(number, ns)) for name, number in METHODS.items()
            }
            for own in await receiver.get_methods():
                tries[f"own {own.nodeid}"] = partial(receiver.call_method, own.nodeid)
            tries["write"] = lambda: jobs.write_value(ua.Variant([], ua.VariantType.ExtensionObject))
            tries["add"] = lambda: line.add_object(me, "Mine")
            tries["delete"] = line.delete
            for name, attempt in tries.items():
                try:
                    await attempt()
                except OutOfScope:
                    refused.append(name)
            assert set(refused) == set(tries)
        return refused

    before = len(server.was_asked_to())
    assert set(METHODS) <= set(asyncio.run(try_all()))
    assert server.was_asked_to()[before:] == []


def test_the_server_tells_on_a_client_without_the_guard(asked_server: Mes) -> None:
    """Otherwise the silence of the other tests would prove nothing."""

    async def misbehave() -> None:
        client = Client(str(asked_server.options["url"]), timeout=5)
        client.set_user(LOGIN)
        client.set_password(SECRET)
        async with client:
            ns = await client.get_namespace_index("http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/")
            me = await client.get_namespace_index("urn:countersign:rig:mes")
            receiver = await client.nodes.objects.get_child([f"{me}:Line1", f"{me}:JobOrderReceiver"])
            await receiver.call_method(f"{ns}:Abort", "17", None)
            jobs = await receiver.get_child([f"{ns}:JobOrderList"])
            await jobs.write_value(ua.Variant([], ua.VariantType.ExtensionObject, is_array=True))

    asyncio.run(misbehave())
    assert asked_server.was_asked_to() == [{"called": "Abort"}, {"wrote": 1}]
    asked_server.seen.clear()


def test_nobody_called_or_wrote_anything_in_all_of_this(server: Mes, asked_server: Mes) -> None:
    assert server.was_asked_to() == []
    assert asked_server.was_asked_to() == []
