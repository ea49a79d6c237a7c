"""The page for agents' developers says what the door does, to everybody."""

import json
import re

import pytest
from django.test import Client

from console.api.describe import openapi
from console.api.problems import PROBLEMS
from console.catalogue import read_tools, transaction_types

pytestmark = pytest.mark.django_db


def shown() -> str:
    answer = Client().get("/api/v1/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_names_every_address_problem_type_and_tool_and_asks_for_no_key() -> None:
    said = shown()
    for path, operations in json.loads(openapi())["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in said
    for code in PROBLEMS:
        assert f"<code>{code}</code>" in said
    for name in [*transaction_types(), *read_tools()]:
        assert name in said


def test_every_call_it_shows_is_at_an_address_of_this_server() -> None:
    described = set(json.loads(openapi())["paths"])
    called = set(re.findall(r"http://testserver(/api/v1/[a-z_/]+)", shown()))
    assert {"/api/v1/tools", "/api/v1/proposals", "/api/v1/proposals/validate"} <= called
    for path in called - {"/api/v1/proposals/"}:
        assert path in described or path.startswith("/api/v1/reads/"), path


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_can_only_be_read(method: str) -> None:
    assert getattr(Client(), method)("/api/v1/").status_code == 405


def test_the_sample_is_right_for_its_type() -> None:
    sample = re.search(r'<pre class="mono small">(\{.*?)</pre>', shown(), re.DOTALL)
    assert sample is not None
    told = json.loads(sample[1].replace("&quot;", '"'))
    transaction_types()[told["transaction_type"]].payload.model_validate_json(json.dumps(told["payload"]))
