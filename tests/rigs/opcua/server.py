"""An OPC UA server for ISA-95 job control: OPC Foundation's own nodeset, served by asyncua.

As a script: server.py NODESET PORT [no-list] [keys=FOLDER], which has server.der and server.pem to encrypt with.

Not ours: the nodeset (types, methods, structures; MIT, from the npm package node-opcua-nodesets) and the stack
(asyncua, on the server's side). Ours: which jobs there are, and that it does as it is told on standard input, one
JSON object a line:

    {"jobs": {"17": [[3, "Running"]]}, "responses": [{...}], "status": "Good", "age": 0, "ahead": 0, "strange": false}
    {"halt": true}

It says on standard output: when it is up, "done" after each command, and what anybody else called or wrote.
"""

import asyncio
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.callback import CallbackType
from asyncua.common.instantiate_util import instantiate
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.user_managers import UserManager

NS = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"
OURS = "urn:countersign:rig:mes"
LOGIN, SECRET = "floor-reader", "rig secret floor"
QUERIES = ("RequestJobResponseByJobOrderID", "RequestJobResponseByJobOrderState")


def say(**what: Any) -> None:
    """One line."""
    print(json.dumps(what), flush=True)  # noqa: T201


class Accounts(UserManager):  # type: ignore[misc]  # the library is not followed
    """One account, with a password."""

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> Any:
        """The user, or None."""
        del iserver, certificate
        return User(role=UserRole.User) if (username, password) == (LOGIN, SECRET) else None


class Plant:
    """The served objects."""

    def __init__(self, server: Server, *, listed: bool) -> None:
        self.server, self.listed = server, listed
        self.responses: list[Any] = []

    async def build(self) -> None:
        """Line1 with a receiver and a provider."""
        ns = await self.server.get_namespace_index(NS)
        me = await self.server.register_namespace(OURS)
        types = {number: self.server.get_node(ua.NodeId(number, ns)) for number in (1002, 1003)}
        line = await self.server.nodes.objects.add_object(me, "Line1")
        receiver, provider = [
            (
                await instantiate(
                    line, types[number], bname=ua.QualifiedName(name, me), instantiate_optional=True
                )
            )[0]
            for number, name in ((1002, "JobOrderReceiver"), (1003, "JobResponseProvider"))
        ]
        self.jobs_node = await receiver.get_child([f"{ns}:JobOrderList"])
        self.responses_node = await provider.get_child([f"{ns}:JobOrderResponseList"])
        for node in (self.jobs_node, self.responses_node):
            await node.set_writable(
                True
            )  # a bad reader could write: that none does must be the reader's doing
        if not self.listed:
            await self.responses_node.delete()
        for holder in (receiver, provider, *types.values()):
            for child in await holder.get_methods():
                name = (await child.read_browse_name()).Name
                self.server.link_method(child, self.query if name in QUERIES else self.command(name))

    def command(self, name: str) -> Any:
        """A control method: it does nothing but tell that somebody called it."""

        async def called(parent: Any, *given: Any) -> list[ua.Variant]:
            del parent, given
            say(called=name)
            return [ua.Variant(0, ua.VariantType.UInt64)]

        return called

    async def query(self, parent: Any, order: ua.Variant) -> list[ua.Variant]:
        """RequestJobResponseByJobOrderID."""
        del parent
        say(asked=order.Value)
        found = [one for one in self.responses if one.JobOrderID == order.Value]
        return [
            ua.Variant(found[0] if found else None, ua.VariantType.ExtensionObject),
            ua.Variant(0, ua.VariantType.UInt64),
        ]

    async def tell(self, told: dict[str, Any]) -> None:
        """Change what the lists say."""
        jobs = []
        for name, states in told.get("jobs", {}).items():
            job = ua.ISA95JobOrderAndStateDataType()
            job.JobOrder = ua.ISA95JobOrderDataType()
            job.JobOrder.JobOrderID = name
            job.JobOrder.Priority = 3
            job.State = [state(*pair) for pair in states]
            jobs.append(job)
        self.responses = [response(**one) for one in told.get("responses", [])]
        if told.get("strange"):
            jobs.append(ua.ISA95StateDataType())
        when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=told.get("ahead", 0) - told.get("age", 0))
        status = ua.StatusCode(getattr(ua.StatusCodes, told.get("status", "Good")))
        for node, values in ((self.jobs_node, jobs), (self.responses_node, self.responses)):
            if node is self.responses_node and not self.listed:
                continue
            await node.write_value(
                ua.DataValue(ua.Variant(values, ua.VariantType.ExtensionObject, is_array=True), status, when)
            )


def state(number: int, text: str) -> Any:
    """A state of the standard."""
    made = ua.ISA95StateDataType()
    made.StateNumber, made.StateText = number, ua.LocalizedText(text)
    return made


def response(
    order: str, number: int = 3, made: str | None = None, unit: str = "Unit", ident: str = "JR1"
) -> Any:
    """A job response; `made` is the good count."""
    one = ua.ISA95JobResponseDataType()
    one.JobResponseID, one.JobOrderID, one.JobState = ident, order, [state(number, "")]
    one.StartTime = dt.datetime(2026, 11, 22, 6, 0, tzinfo=dt.UTC)
    if made is not None:
        scrap, good = ua.ISA95MaterialDataType(), ua.ISA95MaterialDataType()
        good.MaterialUse, good.Quantity, good.MaterialDefinitionID = "Material Produced", made, "TABLE"
        good.EngineeringUnits = ua.EUInformation(DisplayName=ua.LocalizedText(unit))
        scrap.MaterialUse, scrap.Quantity = "Material Consumed", "40"
        one.MaterialActuals = [scrap, good]
    return one


async def main(nodeset: str, port: str, *flags: str) -> None:
    """Serve until standard input ends."""
    server = Server(user_manager=Accounts())
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/mes/")
    server.set_server_name("ISA-95 job control rig")
    keys = next((Path(flag.removeprefix("keys=")) for flag in flags if flag.startswith("keys=")), None)
    if keys is None:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    else:
        await server.load_certificate(str(keys / "server.der"))
        await server.load_private_key(str(keys / "server.pem"))
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    server.set_identity_tokens([ua.UserNameIdentityToken])
    await server.import_xml(nodeset)
    await server.load_data_type_definitions()
    plant = Plant(server, listed="no-list" not in flags)
    await plant.build()
    server.subscribe_server_callback(
        CallbackType.PreWrite,
        lambda event, _: say(wrote=len(event.request_params.NodesToWrite)) if event.is_external else None,
    )
    loop = asyncio.get_running_loop()
    async with server:
        say(up=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            told = json.loads(line)
            if told.get("halt"):
                break
            await plant.tell(told)
            say(done=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
