"""One way to call the door: every answer is held against what OpenAPI says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not in our locks
import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve

from console.api.describe import openapi
from tests.cast import Planner

Caller = Callable[..., HttpResponse]


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document as it is served."""
    found: dict[str, Any] = json.loads(openapi())
    return found


def documented(method: str, path: str, response: HttpResponse) -> None:
    """Fail unless OpenAPI names this status for this operation, with this media type and a schema that fits."""
    route = resolve(path.partition("?")[0]).route.replace("<str:", "{").replace(">", "}")
    operation = document()["paths"].get(f"/{route}", {}).get(method.lower())
    if operation is None:  # an address or method that is nobody's: a problem all the same
        assert response["Content-Type"] == "application/problem+json"
        schema: Mapping[str, Any] = {"$ref": "#/components/schemas/Problem"}
    else:
        told = operation["responses"].get(str(response.status_code))
        assert told is not None, f"{method} {path} answered {response.status_code}, which is not documented"
        assert response["Content-Type"] in told["content"], response["Content-Type"]
        schema = told["content"][response["Content-Type"]]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document()["components"]}).validate(
        json.loads(response.content)
    )


@pytest.fixture
def call(client: Client, planner: Planner) -> Caller:
    """Call the door as the planner: `call("POST", "proposals", {...}, {"Idempotency-Key": "a"})`.

    A body of bytes is sent as it is, anything else as JSON. `key=""` sends no key, another text that one.
    """

    def send(
        method: str,
        address: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: str | None = None,
        content_type: str = "application/json",
    ) -> HttpResponse:
        path = address if address.startswith("/") else f"/api/v1/{address}"
        sent = dict(headers or {})
        if key is None:
            sent |= planner.headers
        elif key:
            sent |= {"Authorization": f"Bearer {key}"}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        response: Any = client.generic(method, path, raw, content_type=content_type, headers=sent)
        documented(method, path, response)
        return response  # type: ignore[no-any-return]  # the client's answer is an HttpResponse and more

    return send


def told(response: HttpResponse) -> dict[str, Any]:
    """The body."""
    found: dict[str, Any] = json.loads(response.content)
    return found
