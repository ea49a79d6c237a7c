"""The adapter contract against vendors' own systems. See README.md; not collected unless a system is named."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from integrations.connect import adapter
from integrations.contract import Account, Case, EffectClass, Level, Unsupported
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TYPE_CLAIMS,
    TYPES,
    AdapterClaim,
    Subject,
    TypeClaim,
    a_lost_reply_is_in_doubt_and_then_found,
    a_port_where_nothing_listens,
    a_stale_stamp_is_refused,
    another_types_account_is_out_of_scope,
    its_account_is_proven_narrow,
    named,
    prepare,
    send,
    the_systems_own_log_tells_of_the_commit,
)
from tests.live import plugin

SYSTEMS = {name: json.loads(path.read_text()) for name, path in plugin.named().items()}


def account(told: Mapping[str, str]) -> Account:
    """A service account whose secret is in a file."""
    return Account(told["login"], Path(told["secret_file"]).read_text().strip())


def subject(name: str) -> Subject:
    """A conformance subject over a vendor's system."""
    told = SYSTEMS[name]
    if told.get("i_may_write_to_this_system") is not True:
        pytest.fail(f"LIVE_{name.upper()}: i_may_write_to_this_system must be true; never use production.")
    found = adapter(f"integrations.{name}.adapter")
    dead = f"http://127.0.0.1:{a_port_where_nothing_listens()}"
    addresses = dict.fromkeys(("url", "token_url", "gateway", "tokens"), dead)

    def payload(type_name: str) -> Mapping[str, Any]:
        return _first_that_changes_something(name, type_name)

    def touch(type_name: str, _payload: Any) -> bool:
        one = subject(name)
        other = account(told["somebody_else"])
        with one.open_writer(type_name, account=other) as writer:
            commit = prepare(one, writer, type_name)
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        return True

    return Subject(
        adapter=found,
        options=told["options"],
        reader=account(told["reader"]),
        writers={kind: account(one) for kind, one in told.get("writers", {}).items()},
        payload=payload,
        arguments=lambda tool: told["arguments"][tool],
        missing=lambda tool: told["missing"][tool],
        touch=touch,
        nowhere=lambda: {**told["options"], **addresses},
        cannot=("lose an answer", "count"),
    )


def _first_that_changes_something(name: str, type_name: str) -> Mapping[str, Any]:
    told, type_ = SYSTEMS[name], TYPES[type_name]
    found = adapter(f"integrations.{name}.adapter")
    limits = {limit.name: limit.default for limit in type_.limits}
    why: list[str] = []
    with contextlib.closing(found.reader(told["options"], account(told["reader"]))) as reader:
        for raw in told["payloads"][type_name]:
            payload = type_.payload.model_validate_json(json.dumps(raw))
            case = Case(payload, reader.snapshot(type_, payload), limits, dt.datetime.now(dt.UTC).date())
            findings = [finding for rule in type_.rules for finding in rule(case)]
            wrong = [finding.text for finding in findings if finding.level is Level.ERROR]
            if not wrong:
                return dict(raw)
            why += wrong
    pytest.fail(f"No payload of {type_name} can be proposed now: {'; '.join(why)}")


def _claims(name: str, type_name: str) -> list[TypeClaim]:
    told = SYSTEMS[name]
    effect = adapter(f"integrations.{name}.adapter").types[type_name].effect
    left_out: set[Callable[..., None]] = {a_lost_reply_is_in_doubt_and_then_found}
    if "somebody_else" not in told:
        left_out.add(a_stale_stamp_is_refused)
    if len({TYPES[kind].record for kind in told.get("writers", {})}) == 1:
        left_out.add(another_types_account_is_out_of_scope)
    if effect is EffectClass.READ_BACK_ONLY:
        left_out.add(its_account_is_proven_narrow)
    return [claim for claim in TYPE_CLAIMS if claim not in left_out]


CARRIED = [(name, type_name) for name, told in SYSTEMS.items() for type_name in told.get("payloads", {})]
CLAIMS = [(name, type_name, claim) for name, type_name in CARRIED for claim in _claims(name, type_name)]


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_the_adapter(claim: AdapterClaim, name: str) -> None:
    claim(subject(name))


@pytest.mark.parametrize(
    ("name", "type_name", "claim"),
    CLAIMS,
    ids=[f"{name}-{kind}-{named(claim)}" for name, kind, claim in CLAIMS],
)
def test_the_adapter_for_a_type(name: str, type_name: str, claim: TypeClaim) -> None:
    if claim is the_systems_own_log_tells_of_the_commit:
        with subject(name).open_writer(type_name) as writer:
            try:
                writer.changes(dt.datetime.now(dt.UTC))
            except Unsupported as no:
                pytest.skip(no.text)
    claim(subject(name), type_name)


@pytest.mark.parametrize(("name", "type_name"), CARRIED)
def test_the_probe_tells_what_it_found(name: str, type_name: str) -> None:
    with subject(name).open_writer(type_name) as writer:
        report = writer.probe([TYPES[type_name]])
    print(json.dumps({**vars(report), "sound": report.sound}, indent=2))  # noqa: T201 this is for a person to read
    assert report.account == subject(name).writers[type_name].login
    assert report.out_of_scope_refused is not False
