"""OPC UA for ISA-95 job control: a listener on JobOrderList and JobOrderResponseList, and nothing that writes.

Options: `url` (opc.tcp://...), `security` ("none", or {"policy", "certificate", "private_key", "server_certificate"}
with paths, and "application_uri" as in the certificate), `start` (node id below which to look, default the Objects
folder), `depth`, `beat` (seconds between proofs of life), `timeout` (seconds for each request).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from asyncua import Client, Node, ua
from asyncua.crypto import security_policies

from integrations.contract import (
    Account,
    Adapter,
    OutOfScope,
    Reading,
    ReadTool,
    Sink,
    Snapshot,
    TransactionType,
    Unavailable,
    Unsupported,
)
from integrations.opcua.guard import JOB_CONTROL, QUERIES, Guard, guarded
from integrations.opcua.jobs import Told, samples, strangers
from integrations.opcua.structures import JobOrderAndState, JobResponse, decoded

RECEIVER, RECEIVER_WITH_SUBSTATES, PROVIDER = 1002, 1008, 1003
"""Node ids of the object types of OPC 10031-4 whose lists are read."""

LISTS = {"JobOrderList", "JobOrderResponseList"}
CLOCK = ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)
STATE = ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)
MOST_NODES = 5000
SILENT_BEATS = 3
SESSION_MS = 60_000
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
"""Security policies of OPC 10000-7 that are not deprecated."""
APPLICATION = "urn:countersign:reader"
"""Our application's URI; servers compare it with the one in our certificate."""

Point = tuple[ua.NodeId, str]


class Floor:
    """One MES over OPC UA. See `contract.Listener`."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._options, self._account = options, account
        self._beat = float(options.get("beat", 5))

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Subscribe, tell every change, and prove life with the server's own clock."""
        asyncio.run(self._answering(self._listen(sink, stop)))

    def ping(self) -> None:
        """Return if the server answers this account and has the lists of job control."""
        asyncio.run(self._answering(self._find_once()))

    def describe(self) -> Mapping[str, Any]:
        """The server's build information and what is listened to."""
        found: Mapping[str, Any] = asyncio.run(self._answering(self._describe()))
        return found

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Not from here: the console answers from what was heard."""
        del arguments
        raise Unsupported(f"{tool.name} is answered from what `manage.py listen` heard")

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Nothing is written on the floor, so there is nothing to take a snapshot for."""
        del payload
        raise Unsupported(f"an MES carries no {type_.name}: it is only read")

    def close(self) -> None:
        """Sessions end with the call that made them."""

    # Session

    async def _answering(self, work: Any) -> Any:
        """Run it; what the library raises becomes an answer of the contract, without the credentials."""
        where = self._options["url"]
        try:
            return await work
        except (ua.uaerrors.BadUserAccessDenied, ua.uaerrors.BadIdentityTokenRejected) as error:
            raise OutOfScope(f"{where} refuses the account: {type(error).__name__}") from None
        except ua.UaError as error:
            raise Unavailable(f"{where} answered {type(error).__name__}") from None
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{where} does not answer ({type(error).__name__})") from None

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[Client, Guard]]:
        client, guard = guarded(str(self._options["url"]), timeout=float(self._options.get("timeout", 5)))
        client.session_timeout = SESSION_MS
        security = self._options.get("security")
        if isinstance(security, Mapping):
            client.application_uri = str(security.get("application_uri", APPLICATION))
            await client.set_security(
                _policy(security),
                certificate=security["certificate"],
                private_key=security["private_key"],
                server_certificate=security["server_certificate"],
                mode=ua.MessageSecurityMode.SignAndEncrypt,
            )
        elif security != "none":
            raise Unavailable(
                'this connection has no option `security`: name a policy with its certificates, or say "none" '
                "where the network is the plant's own and the server offers nothing else"
            )
        if self._account.login:
            client.set_user(self._account.login)
            client.set_password(self._account.secret)
        async with client:
            if client.uaclient.observer is not guard:
                raise OutOfScope("the client lost its guard; nothing is sent")
            yield client, guard

    async def _find(self, client: Client, guard: Guard) -> tuple[int, list[Point], list[ua.NodeId]]:
        """The namespace of job control, the lists below `start`, and providers that have only the query."""
        namespaces = await client.get_namespace_array()
        if JOB_CONTROL not in namespaces:
            raise Unavailable(f"{self._options['url']} does not speak ISA-95 job control ({JOB_CONTROL})")
        namespace = namespaces.index(JOB_CONTROL)
        guard.allow_queries(namespace)
        wanted = {ua.NodeId(number, namespace) for number in (RECEIVER, RECEIVER_WITH_SUBSTATES, PROVIDER)}
        start = client.get_node(self._options.get("start") or client.nodes.objects.nodeid)
        level, seen, lists, asked = [start], {start.nodeid}, list[Point](), list[ua.NodeId]()
        for _ in range(int(self._options.get("depth", 5))):
            below: list[Node] = []
            for node in level:
                for child in await node.get_references(
                    ua.ObjectIds.HierarchicalReferences, ua.BrowseDirection.Forward, ua.NodeClass.Object
                ):
                    if child.NodeId in seen or child.NodeId == ua.NodeId(ua.ObjectIds.Server):
                        continue
                    seen.add(child.NodeId)
                    if len(seen) > MOST_NODES:
                        raise Unavailable(
                            f"more than {MOST_NODES} objects below the start; set the option `start`"
                        )
                    if child.TypeDefinition in wanted:
                        here = await self._lists(client.get_node(child.NodeId), namespace)
                        lists += here
                        if child.TypeDefinition.Identifier == PROVIDER and not here:
                            asked.append(child.NodeId)
                    below.append(client.get_node(child.NodeId))
            level = below
        if not lists:
            raise Unavailable(f"{self._options['url']} has no JobOrderList below the start")
        return namespace, lists, asked

    async def _lists(self, node: Node, namespace: int) -> list[Point]:
        found = await node.get_references(
            ua.ObjectIds.HierarchicalReferences, ua.BrowseDirection.Forward, ua.NodeClass.Variable
        )
        return [
            (one.NodeId, str(one.BrowseName.Name))
            for one in found
            if one.BrowseName.NamespaceIndex == namespace and one.BrowseName.Name in LISTS
        ]

    async def _find_once(self) -> None:
        async with self._session() as (client, guard):
            await self._find(client, guard)

    async def _describe(self) -> Mapping[str, Any]:
        async with self._session() as (client, guard):
            _, lists, asked = await self._find(client, guard)
            build = await client.get_node(ua.ObjectIds.Server_ServerStatus_BuildInfo).read_value()
            return {
                "product": str(build.ProductName or ""),
                "version": str(build.SoftwareVersion or ""),
                "account": self._account.login or "anonymous",
                "lists": [name for _, name in lists],
                "asked": len(asked),
            }

    async def _listen(self, sink: Sink, stop: threading.Event) -> None:
        async with self._session() as (client, guard):
            namespace, lists, asked = await self._find(client, guard)
            heard = _Heard(sink, namespace, dict(lists))
            subscription = await client.create_subscription(min(500, self._beat * 250), heard)
            nodes = [client.get_node(one) for one in (CLOCK, STATE, *dict(lists))]
            await subscription.subscribe_data_change(nodes)
            silent, asked_at = 0, 0
            while not stop.is_set():
                silent = 0 if await heard.wait(self._beat, stop) else silent + 1
                if heard.over:
                    raise Unavailable(f"the MES says: {heard.over}")
                if silent >= SILENT_BEATS:
                    raise Unavailable(f"the MES gave no sign of life for {silent * self._beat:.0f} s")
                if asked and heard.ticks != asked_at:
                    asked_at = heard.ticks
                    await self._ask(client, namespace, asked, heard)

    async def _ask(self, client: Client, namespace: int, providers: list[ua.NodeId], heard: _Heard) -> None:
        """Ask for the responses of the listed jobs, where a provider has no list of them. A query, no command."""
        method = ua.NodeId(QUERIES["RequestJobResponseByJobOrderID"], namespace)
        for provider in providers:
            found = []
            for name in heard.listed():
                answer = await client.get_node(provider).call_method(
                    method, ua.Variant(name, ua.VariantType.String)
                )
                response = answer[0] if isinstance(answer, list) else answer
                if response is not None:
                    found.append(response)
            heard.answered(provider, found)


class _Heard:
    """The handler of the subscription: keeps every list as it was last told and tells the sink what follows."""

    def __init__(self, sink: Sink, namespace: int, names: Mapping[ua.NodeId, str]) -> None:
        self._sink, self._namespace, self._names = sink, namespace, names
        self._told: dict[ua.NodeId, Told] = {}
        self._known: set[str] = set()
        self._strange: set[str] = set()
        self._clock: dt.datetime | None = None
        self.ticks = 0
        self.over = ""

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        """One value of the subscription, with its status and times."""
        if node.nodeid == STATE:
            if value != ua.ServerState.Running and value is not None:
                self.over = f"server state {ua.ServerState(value).name}"
            return
        given = data.monitored_item.Value
        if node.nodeid == CLOCK:
            self._tick(value)
            return
        self._told[node.nodeid] = self._read(given)
        if self._told[node.nodeid].faults:
            self._sink.refused(f"{self._names[node.nodeid]}: {self._told[node.nodeid].faults[0]}")
        self._tell()

    def status_change_notification(self, status: Any) -> None:
        """The server ended the subscription."""
        self.over = f"subscription ended ({status.Status.name})"

    def answered(self, provider: ua.NodeId, responses: list[Any]) -> None:
        """What a query gave."""
        self._told[provider] = self._read(ua.DataValue(ua.Variant(responses, ua.VariantType.ExtensionObject)))
        self._tell()

    def listed(self) -> list[str]:
        """The jobs of the job lists."""
        return sorted({str(o.JobOrder.JobOrderID) for told in self._told.values() for o in told.orders})

    async def wait(self, beat: float, stop: threading.Event) -> bool:
        """Whether the server's clock moved within a beat."""
        before, slice_ = self.ticks, min(beat, 0.2)
        for _ in range(max(1, round(beat / slice_))):
            if stop.is_set() or self.over:
                return True
            await asyncio.sleep(slice_)
        return self.ticks > before

    def _tick(self, value: Any) -> None:
        if isinstance(value, dt.datetime) and (self._clock is None or _aware(value) != self._clock):
            self._clock = _aware(value)
            self.ticks += 1
            if len(self._told) >= len(self._names):
                self._sink.alive()

    def _read(self, given: ua.DataValue) -> Told:
        status = given.StatusCode.name if given.StatusCode is not None else "Good"
        value = given.Value.Value if given.Value is not None else None
        base = Told(
            status="Good" if status == "Good" else status,
            source_time=_aware(given.SourceTimestamp),
            server_time=self._clock or _aware(given.ServerTimestamp),
        )
        orders, responses, faults = [], [], []
        for one in value or ():
            try:
                found = decoded(one, self._namespace)
            except ValueError as error:
                faults.append(str(error))
                continue
            if isinstance(found, JobOrderAndState):
                orders.append(found)
            elif isinstance(found, JobResponse):
                responses.append(found)
        return Told(
            base.status, base.source_time, base.server_time, tuple(orders), tuple(responses), tuple(faults)
        )

    def _tell(self) -> None:
        if len(self._told) < len(self._names):
            return  # a job that one list names may be told otherwise by the list that has not come yet
        told = list(self._told.values())
        for name in strangers(told) - self._strange:
            self._strange.add(name)
            self._sink.refused(
                f"the job id {name!r} is none that an order can have: 1 to 64 plain characters"
            )
        found = samples(told, self._known)
        self._known |= set(found)
        for sample in found.values():
            self._sink.heard(sample)


def _policy(security: Mapping[str, Any]) -> Any:
    """The library's class of the named policy. Unavailable says what of the option is missing or wrong."""
    policies = {name.removeprefix("SecurityPolicy"): one for name, one in vars(security_policies).items()}
    found = policies.get(str(security.get("policy")))
    if security.get("policy") not in POLICIES or found is None:
        raise Unavailable(f"the option security.policy is one of {', '.join(POLICIES)}")
    for name in ("certificate", "private_key", "server_certificate"):
        path = Path(str(security.get(name) or ""))
        if not path.is_file() or not os.access(path, os.R_OK):
            raise Unavailable(f"the option security.{name} names no file that can be read")
    return found


def _aware(value: dt.datetime | None) -> dt.datetime | None:
    """OPC UA's times are UTC."""
    if value is None:
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)


ADAPTER = Adapter(
    name="opcua",
    title="OPC UA, ISA-95 job control",
    path="OPC UA",
    levels=frozenset({3}),
    tools=frozenset({"job_state"}),
    types={},
    settle=dt.timedelta(0),
    verified="asyncua 2 serving OPC Foundation's nodeset ISA95-JOBCONTROL 2.0.0",
    reader=Floor,
    listener=Floor,
)
