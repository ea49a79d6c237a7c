"""The token server of the tests gives tokens to who may have them, and to nobody else."""

from __future__ import annotations

from typing import Any

import httpx

from tests.rigs.oauth2 import subject_of, token_server

CLIENTS: dict[str, dict[str, Any]] = {
    "reader": {"secret": "right"},
    "m3": {"secret": "right", "users": {"saak": "sask"}},
}


def test_a_client_gets_a_token_that_names_it_and_a_wrong_secret_gets_none() -> None:
    with token_server(CLIENTS) as server:
        form = {"grant_type": "client_credentials", "scope": "api"}
        given = httpx.post(server.token_url, data=form, auth=("reader", "right"), trust_env=False)
        assert subject_of(given.json()["access_token"], server.keys()) == "reader"
        refused = httpx.post(server.token_url, data=form, auth=("reader", "wrong"), trust_env=False)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert subject_of("not a token", server.keys()) == ""
        assert [one["status"] for one in server.asked()] == [200, 401]


def test_the_password_grant_looks_at_client_and_user() -> None:
    with token_server(CLIENTS, path="/TENANT/as/token.oauth2") as server:
        form = {"grant_type": "password", "username": "saak", "password": "sask"}
        given = httpx.post(server.token_url, data=form, auth=("m3", "right"), trust_env=False)
        assert subject_of(given.json()["access_token"], server.keys()) == "saak"
        wrong = {**form, "password": "other"}
        assert (
            httpx.post(server.token_url, data=wrong, auth=("m3", "right"), trust_env=False).status_code == 401
        )
        assert "sask" not in repr(server.asked())
