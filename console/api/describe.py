"""OpenAPI: what each address takes and answers, told from the models that it really uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from pydantic import BaseModel
from rest_framework.request import Request

from console.api.door import open_door
from console.api.envelope import Problem
from console.api.problems import MEDIA_TYPE
from console.api.request import plain, stamp

ALWAYS = (401, 403, 405, 406, 429, 500, 503)
OPEN = (405, 406, 500)


class BearerKey(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular is untyped here
    """How the schema tells of agents' keys."""

    target_class = "console.api.door.AgentKeys"
    name = "agentKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002 its signature
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "cs_<key id>_<secret><checksum>"}


def described(
    name: str,
    summary: str,
    answers: Mapping[int, type[BaseModel]],
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    method: str = "",
    text: str | None = None,
    idempotent: bool = False,
    waits: bool = False,
    open_to_all: bool = False,
    problems: Sequence[int] = (),
) -> Callable[[Any], Any]:
    """Tell the schema of one operation: its answers by status, the models of body and query, its problems."""
    parameters = _of_query(query) if query is not None else []
    if idempotent:
        parameters.append(_header("Idempotency-Key", "A name of your own for what you send.", required=True))
    if waits:
        parameters.append(_header("Prefer", "`wait=N`: hold the answer for a change, 30 seconds at most."))
    responses: dict[Any, Any] = {(status, "application/json"): model for status, model in answers.items()}
    for status in sorted({*problems, *(OPEN if open_to_all else ALWAYS), *((400,) if query else ())}):
        responses[status, MEDIA_TYPE] = OpenApiResponse(Problem, description="A problem; `code` says which.")
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=text,
        methods=[method] if method else None,
        parameters=parameters,
        request={"application/json": body.model_json_schema()} if body is not None else None,
        responses=responses,
        auth=[] if open_to_all else None,
        tags=["agents"],
    )


@cache
def openapi() -> bytes:
    """The whole description as JSON, made once per process."""
    schema = SchemaGenerator(urlconf=None).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.dumps(schema).encode()


@extend_schema(exclude=True)
@open_door("GET")
def schema(request: Request) -> HttpResponse:
    """This description, for everybody: it holds nothing that is anybody's."""
    response = stamp(plain(request), HttpResponse(openapi(), content_type="application/json"))
    response["Cache-Control"] = "public, max-age=300"
    return response


def _of_query(model: type[BaseModel]) -> list[OpenApiParameter]:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        OpenApiParameter(
            name,
            location=OpenApiParameter.QUERY,
            required=name in schema.get("required", ()),
            description=part.get("description", ""),
            type=_inlined(part, definitions),
        )
        for name, part in schema["properties"].items()
    ]


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema without references: parameters stand alone."""
    if isinstance(part, dict):
        if "$ref" in part:
            return _inlined(definitions[part["$ref"].rsplit("/", 1)[-1]], definitions)
        if "anyOf" in part:  # a query has no null: what may be left out is left out
            some = [one for one in part["anyOf"] if one != {"type": "null"}]
            kept = {name: value for name, value in part.items() if name not in {"anyOf", "default"}}
            return _inlined({**kept, **some[0]}, definitions)
        return {name: _inlined(value, definitions) for name, value in part.items()}
    return [_inlined(value, definitions) for value in part] if isinstance(part, list) else part


def _header(name: str, text: str, *, required: bool = False) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=required, description=text)
