"""What may leave this machine over OPC UA: an allow-list of services, held at the one place all requests pass.

asyncua asks the client's observer before it encodes a request; this one refuses what is not a read. `Call` is
allowed for the two queries of OPC 10031-4 alone, by namespace and node id. Every other service (Write,
HistoryUpdate, AddNodes, DeleteNodes, ...) and every other method (Store, Start, Stop, Abort, ...) is refused here,
also if a line of ours, or of the library, should ever send one.
"""

from __future__ import annotations

import contextlib
from typing import Any

from asyncua import Client, ua
from asyncua.observer import Observer

from integrations.contract import OutOfScope

SERVICES = frozenset(
    {
        "GetEndpointsRequest",
        "FindServersRequest",
        "CreateSessionRequest",
        "ActivateSessionRequest",
        "CloseSessionRequest",
        "ReadRequest",
        "BrowseRequest",
        "BrowseNextRequest",
        "TranslateBrowsePathsToNodeIdsRequest",
        "HistoryReadRequest",
        "CreateSubscriptionRequest",
        "DeleteSubscriptionsRequest",
        "CreateMonitoredItemsRequest",
        "DeleteMonitoredItemsRequest",
        "PublishRequest",
        "RepublishRequest",
    }
)
"""Services that change nothing but the session itself (OPC 10000-4)."""

JOB_CONTROL = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/"
QUERIES = {"RequestJobResponseByJobOrderID": 7002, "RequestJobResponseByJobOrderState": 7014}
"""Methods of ISA95JobResponseProviderObjectType that only ask (OPC 10031-4, 7.2.7): name to numeric node id."""


class Guard(Observer):  # type: ignore[misc]  # the library is not followed
    """Refuses every request that is not on the lists. `queries` are the node ids of QUERIES on this server."""

    def __init__(self) -> None:
        self.queries: frozenset[ua.NodeId] = frozenset()

    def allow_queries(self, namespace: int) -> None:
        """From now on the two queries may be called; `namespace` is the server's index of JOB_CONTROL."""
        self.queries = frozenset(ua.NodeId(number, namespace) for number in QUERIES.values())

    def observe_request(self, request: Any) -> contextlib.AbstractContextManager[None]:
        """Raise OutOfScope, before a byte leaves, unless this request only reads."""
        name = type(request).__name__
        if name == "CallRequest":
            for call in request.Parameters.MethodsToCall:
                if call.MethodId not in self.queries:
                    raise OutOfScope(
                        f"this reader calls no method but {' and '.join(QUERIES)}, not {call.MethodId}"
                    )
        elif name not in SERVICES:
            raise OutOfScope(f"this reader does not send {name.removesuffix('Request')}: it only reads")
        return contextlib.nullcontext()


def guarded(url: str, *, timeout: float) -> tuple[Client, Guard]:
    """A client whose every request passes the guard. `timeout` in seconds, for each request."""
    client, guard = Client(url, timeout=timeout), Guard()
    client.uaclient.observer = guard
    return client, guard
