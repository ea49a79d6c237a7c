"""What OpenAPI says is what happens: every operation, every status, every shape; and no 5xx for any input."""

import os
from typing import Any

import pytest
import schemathesis
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.live_server_helper import LiveServer
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from console.api import urls
from tests.api.conftest import Caller, document, told
from tests.cast import Planner, envelope, propose

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "12"))
"""Per operation; a soak sets thousands."""

OPERATIONS = {
    ("get", "/api/v1/capabilities"),
    ("get", "/api/v1/tools"),
    ("post", "/api/v1/reads/{tool}"),
    ("get", "/api/v1/proposals"),
    ("post", "/api/v1/proposals"),
    ("post", "/api/v1/proposals/validate"),
    ("get", "/api/v1/proposals/{ref}"),
    ("post", "/api/v1/proposals/{ref}/withdraw"),
    ("post", "/api/v1/proposals/{ref}/revisions"),
    ("get", "/api/v1/problems/{code}"),
    ("post", "/api/v1/answers"),
    ("post", "/api/v1/runs"),
    ("get", "/api/v1/runs/{ref}"),
    ("get", "/api/v1/runs/{ref}/case"),
    ("post", "/api/v1/runs/{ref}/nothing"),
    ("post", "/api/v1/runs/{ref}/answer"),
    ("post", "/api/v1/runs/{ref}/finish"),
}


def test_every_address_of_the_door_is_described_and_no_other() -> None:
    described = {(method, path) for path, operations in document()["paths"].items() for method in operations}
    assert described == OPERATIONS
    routes = {f"/api/v1/{one.pattern}".replace("<str:", "{").replace(">", "}") for one in urls.urlpatterns}
    assert routes - {"/api/v1/", "/api/v1/^.*$", "/api/v1/schema"} == {path for _, path in OPERATIONS}


def test_every_operation_but_the_open_one_asks_for_a_key() -> None:
    assert document()["components"]["securitySchemes"]["agentKey"]["scheme"] == "bearer"
    for path, operations in document()["paths"].items():
        for operation in operations.values():
            if path != "/api/v1/problems/{code}":
                assert operation["security"] == [{"agentKey": []}]


def test_every_operation_has_a_name_a_summary_and_a_description() -> None:
    found = [one for operations in document()["paths"].values() for one in operations.values()]
    assert all(one["summary"] and one["description"] for one in found)
    assert len({one["operationId"] for one in found}) == len(found)


def test_the_description_is_for_everybody_and_names_no_connection(client: Client, planner: Planner) -> None:
    response = client.get("/api/v1/schema")
    assert response.status_code == 200
    assert response.json()["openapi"] == "3.1.0"
    assert planner.agent.slug not in response.content.decode()


@pytest.mark.parametrize("code", ["no_grant", "key_reused", "system_away"])
def test_the_type_of_a_problem_leads_to_its_description(call: Caller, code: str) -> None:
    found = told(call("GET", f"/api/v1/problems/{code}", key=""))
    assert found["code"] == code
    assert found["type"] == f"/api/v1/problems/{code}"


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "nowhere", 404),
        ("POST", "nowhere/at/all", 404),
        ("PUT", "tools", 405),
        ("DELETE", "proposals", 405),
        ("OPTIONS", "proposals", 405),
        ("GET", "reads/supplier", 405),
        ("GET", "proposals/validate", 405),
    ],
)
def test_what_is_nobodys_is_a_problem_too(call: Caller, method: str, address: str, status: int) -> None:
    response = call(method, address)
    assert response.status_code == status
    assert told(response)["request_id"] == response["X-Request-ID"]
    if status == 405:
        assert method not in response["Allow"]


def test_whoever_wants_no_json_is_406(call: Caller) -> None:
    assert call("GET", "tools", headers={"Accept": "text/html"}).status_code == 406
    assert call("GET", "tools", headers={"Accept": "text/html, */*;q=0.1"}).status_code == 200


def test_a_fault_of_ours_is_a_problem_without_a_trace(
    call: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret-in-a-trace")

    monkeypatch.setattr("console.api.views.tools", broken)
    response = call("GET", "tools")
    assert (response.status_code, told(response)["code"]) == (500, "internal")
    assert b"secret-in-a-trace" not in response.content
    assert told(response)["request_id"] in caplog.text
    assert "secret-in-a-trace" in caplog.text


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.usefixtures("erp")
@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS))
def test_no_input_gets_a_5xx_or_what_is_not_described(
    planner: Planner, live_server: LiveServer, method: str, path: str
) -> None:
    operation = schemathesis.openapi.from_url(f"{live_server.url}/api/v1/schema")[path][method.upper()]
    refs = [propose(planner).ref for _ in range(3)]
    real = {
        "ref": st.sampled_from(refs),
        "tool": st.sampled_from(["order_status_exceptions", "production_order", "stock_by_product"]),
        "code": st.sampled_from(["no_grant", "moved_on"]),
    }
    known = {name: values for name, values in real.items() if f"{{{name}}}" in path}
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])
    refused = 0

    @hypothesis_settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=cases, use=st.booleans(), values=st.fixed_dictionaries(known), body=st.booleans())
    def holds(case: schemathesis.Case[Any], use: bool, values: dict[str, str], body: bool) -> None:
        nonlocal refused
        if use and values:
            case.path_parameters = values
        if (
            body
            and path.startswith("/api/v1/proposals")
            and path.endswith(("proposals", "validate"))
            and method == "post"
        ):
            case.body = envelope(payload=case.body.get("payload", {}) if isinstance(case.body, dict) else {})
        response = case.call(headers=planner.headers, timeout=60)
        refused += 400 <= response.status_code < 500
        case.validate_response(
            response,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    holds()
    assert refused or path == "/api/v1/tools"
