"""An agent as it is outside: a program with a key that speaks HTTP to the agents' door."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from console import references
from tests.journeys.house import WAIT_SECONDS

LOOK_SECONDS = 2


class Agent:
    """Reads, proposes, follows. `sweep` stands for beat: it is rung while the agent waits."""

    def __init__(self, url: str, key: str, sweep: Callable[[], None]) -> None:
        self.http = httpx.Client(
            base_url=f"{url}/api/v1/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )
        self._sweep = sweep

    def close(self) -> None:
        """Let go of the connection."""
        self.http.close()

    def read(self, tool: str, connection: str = "", **arguments: Any) -> dict[str, Any]:
        """The answer of a read tool: `value`, and `reading`, the reference to cite."""
        body = {"arguments": arguments, **({"connection": connection} if connection else {})}
        return self._taken(self.http.post(f"reads/{tool}", json=body), 200)

    def propose(
        self,
        transaction_type: str,
        payload: Mapping[str, Any],
        *,
        rationale: str = "The material arrives later than planned.",
        readings: Sequence[str] = (),
        **more: Any,
    ) -> str:
        """The reference of a proposal that was received."""
        body = {
            "transaction_type": transaction_type,
            "payload": payload,
            "rationale": rationale,
            "readings": list(readings),
            **more,
        }
        sent = self.http.post("proposals", json=body, headers={"Idempotency-Key": references.new("KY")})
        ref: str = self._taken(sent, 202)["ref"]
        return ref

    def revise(self, ref: str, payload: Mapping[str, Any], rationale: str) -> None:
        """Another revision of the same case."""
        sent = self.http.post(f"proposals/{ref}/revisions", json={"payload": payload, "rationale": rationale})
        self._taken(sent, 202)

    def withdraw(self, ref: str, reason: str) -> None:
        """Take it back."""
        self._taken(self.http.post(f"proposals/{ref}/withdraw", json={"reason": reason}), 200)

    def look(self, ref: str) -> dict[str, Any]:
        """The proposal as the agent may see it."""
        return self._taken(self.http.get(f"proposals/{ref}"), 200)

    def follow(self, ref: str, *states: str, within: float = WAIT_SECONDS) -> dict[str, Any]:
        """The proposal once it is in one of these states, waiting as the door offers it."""
        deadline = time.monotonic() + within
        seen = self.look(ref)
        while seen["state"] not in states:
            assert not seen["final"], (seen["state"], seen["state_reason"], seen["outcome"])
            assert time.monotonic() < deadline, (seen["state"], seen["state_reason"], seen["outcome"])
            self._sweep()
            seen = self._taken(
                self.http.get(
                    f"proposals/{ref}",
                    params={"state": seen["state"]},
                    headers={"Prefer": f"wait={LOOK_SECONDS}"},
                ),
                200,
            )
        return seen

    @staticmethod
    def _taken(answer: httpx.Response, status: int) -> dict[str, Any]:
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        return body
