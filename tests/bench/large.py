"""Fill a console with a plant's years of work: `python -m tests.bench.large PROPOSALS PENDING ENTRIES`.

Run in a process of its own with DATABASE_URL and DATABASE_OWNER_URL of a migrated, otherwise empty database. Rows
are made inside the server, as its owner, with triggers and checks of foreign keys off: five entries a proposal,
hashed and chained as the trigger would have, so that the log verifies. Prints a key and two Cookie headers as
JSON: a supervisor's and an auditor's. With a database that is filled already it only signs them in.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django
import psycopg

PREPARE = """
set session_replication_role = replica;
set synchronous_commit = off;
set maintenance_work_mem = '512MB';
create temp table made as
select g as n,
    'CS-' || upper(lpad(translate(to_hex(g::bigint), 'abcdef', 'ABCDEF'), 12, '0')) as ref,
    case when g > %(proposals)s - %(pending)s then 'in_review'
         else (array['committed','committed','committed','committed','committed','committed','rejected',
                     'refused','expired','withdrawn'])[1 + g %% 10] end as state,
    (array['production_order_reschedule','production_order_quantity','purchase_order_create',
           'purchase_order_line_change','sales_order_promise'])[1 + g %% 5] as kind,
    timestamptz '2026-01-01' + g * interval '20 seconds' as at,
    (1 + g %% 40000)::text as target,
    'MO-' || lpad((g %% 40000)::text, 5, '0') || ' ' || (array['Oak table 180','Beech chair','Walnut shelf',
        'Ash bench','Pine bed'])[1 + g %% 5] as label
from generate_series(1, %(proposals)s) g;
"""
PROPOSALS = """
insert into console_proposal (id, ref, agent_version_id, grant_id, connection_id, transaction_type, type_version,
    autonomy, target, label, state, version, state_since, state_reason, revision, risk, value_amount,
    value_currency, due, submitted_at, expires_at, fence, attempts_made)
select n, ref, %(version)s, %(grant)s, %(connection)s, kind, 1, 'propose', target, label, state, 4, at, '', 1,
    n %% 3, (n %% 9000)::numeric, 'EUR', (at + interval '20 days')::date, at,
    case when state = 'in_review' then now() + interval '9 days' + n * interval '1 second'
         else at + interval '3 days' end, 0, 0
from made;
insert into console_revision (id, proposal_id, number, payload, digest, rationale, by_agent_id, created_at)
select n, n, 1, '{"order":"' || target || '","planned_finish":"2027-03-05","planned_start":"2027-03-01"}',
    encode(sha256(ref::bytea), 'hex'), 'The material arrives three days later than planned.', %(version)s, at
from made;
insert into console_assessment (id, proposal_id, revision_id, number, type_version, policy_version, snapshot,
    expected, plan, facts, findings, verdicts, moved, rests, digest, as_of, created_at)
select n, n, n, 1, 1, 'bench', s.snapshot::jsonb, s.expected::jsonb, s.plan::jsonb, s.facts::jsonb,
    '[]', s.verdicts::jsonb, '[]', '[]', encode(sha256((ref || 'a')::bytea), 'hex'), at, at
from made, (select %(snapshot)s as snapshot, %(expected)s as expected, %(plan)s as plan, %(facts)s as facts,
                   %(verdicts)s as verdicts) s
where state = 'in_review';
"""
ENTRIES = """
create temp table said as
select m.n, e.step, 'proposal:' || m.ref as chain, e.verb, e.kind, e.id as actor_id, e.label as actor_label,
    m.ref || ' ' || m.target || ' ' || m.label as words, m.at + e.step * interval '1 second' as at,
    (m.n - 1) * 5 + e.step as entry, m.n as proposal,
    '{"actor":{"id":"' || e.id || '","kind":"' || e.kind || '","label":"' || e.label
        || '","via":"bench"},"chain":"proposal:' || m.ref
        || '","detail":{},"proposal":{"ref":"' || m.ref || '","version":' || (e.step - 1)
        || '},"request":"","subject":"' || m.ref || '","verb":"' || e.verb || '"}' as body
from made m, (values
    (1, 'proposal.submit', 'agent', 'planner@1.0', 'Planner 1.0'),
    (2, 'proposal.assess', 'worker', 'worker', 'Countersign worker'),
    (3, 'proposal.approve', 'person', '7', 'Ana Kovac'),
    (4, 'commit.claim', 'worker', 'worker', 'Countersign worker'),
    (5, 'commit.committed', 'worker', 'worker', 'Countersign worker')
) e (step, verb, kind, id, label)
where (m.n - 1) * 5 + e.step <= %(entries)s;
create temp table hashed as select *, ''::text as previous, ''::text as hash from said where false;
"""
CHAIN = """
insert into hashed select s.*, coalesce(h.hash, ''),
    encode(sha256(convert_to(coalesce(h.hash, '') || E'\\n' || (extract(epoch from s.at) * 1000000)::bigint::text
        || E'\\n' || s.body, 'UTF8')), 'hex')
from said s left join hashed h on h.n = s.n and h.step = s.step - 1 where s.step = %(step)s
"""
LOG = """
insert into console_auditentry (id, chain, proposal_id, proposal_version, verb, actor_kind, actor_id, actor_label,
    words, body, at, previous, hash)
select %(first)s + entry, chain, proposal, step - 1, verb, kind, actor_id, actor_label, words, body, at, previous, hash
from hashed order by entry;
"""
AFTER = """
select setval(pg_get_serial_sequence('console_proposal', 'id'), (select max(id) from console_proposal));
select setval(pg_get_serial_sequence('console_revision', 'id'), (select max(id) from console_revision));
select setval(pg_get_serial_sequence('console_assessment', 'id'), (select max(id) from console_assessment));
select setval('console_auditentry_id_seq', (select max(id) from console_auditentry));
"""


def main() -> None:
    """Fill, or find filled; sign in; say how."""
    proposals, pending, entries = (int(word) for word in sys.argv[1:4])
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    django.setup()
    from django.contrib.auth.models import User  # noqa: PLC0415 needs Django to be set up

    from console.models import Proposal  # noqa: PLC0415 the same
    from tests import cast  # noqa: PLC0415 the same
    from tests.bench.people import cookie, workforce  # noqa: PLC0415 the same

    if not Proposal.objects.exists():
        workforce(supervisors=1)
        cast.person("cleo", "auditor", name="Cleo Marsh")
        fill(proposals, pending, entries)
    people = {name: cookie(User.objects.get(username=name)) for name in ("ana0", "cleo")}
    print(json.dumps({"supervisor": people["ana0"], "auditor": people["cleo"]}))  # noqa: T201 for the caller


def fill(proposals: int, pending: int, entries: int) -> None:
    """Make the rows. The entries that are there already come first in the log."""
    from console.models import AuditEntry, Grant  # noqa: PLC0415 needs Django to be set up

    grant = Grant.objects.filter(kind=Grant.TYPE, name="production_order_reschedule").get()
    newest = AuditEntry.objects.order_by("-id").first()
    values: dict[str, Any] = {
        "proposals": proposals,
        "pending": pending,
        "entries": entries,
        "version": grant.version_id,
        "grant": grant.pk,
        "connection": grant.connection_id,
        "first": newest.pk if newest is not None else 0,
        **_assessed(),
    }
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], cursor_factory=psycopg.ClientCursor) as connection:
        for statement in (PREPARE, PROPOSALS, ENTRIES):
            connection.execute(statement, values)
        for step in range(1, 6):
            connection.execute(CHAIN, {"step": step})
            connection.execute("analyze hashed")
        connection.execute(LOG, values)
        connection.execute(AFTER)
        connection.commit()
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _assessed() -> dict[str, str]:
    """What the assessments say: the production reschedule's own sample, judged."""
    from console import policy  # noqa: PLC0415 needs Django to be set up
    from console.catalogue import transaction_type  # noqa: PLC0415 the same
    from console.findings import verdict_json  # noqa: PLC0415 the same
    from console.lifecycle.frozen import facts_json, record_json, snapshot_json  # noqa: PLC0415 the same
    from integrations.contract import Case  # noqa: PLC0415 the same

    type_ = transaction_type("production_order_reschedule")
    payload = type_.payload.model_validate_json(json.dumps(type_.sample))
    limits = {limit.name: limit.default for limit in type_.limits}
    case = Case(
        payload=payload,
        snapshot=type_.sample_snapshot,
        limits=limits,
        today=type_.sample_snapshot.as_of.date(),
    )
    facts = type_.facts(case)
    standing = policy.judge(
        policy.Situation(
            facts=facts,
            findings=(),
            agreements=(),
            limits={limit.name: limit.default for limit in policy.LIMITS},
        )
    )
    return {
        "snapshot": json.dumps(snapshot_json(type_.sample_snapshot)),
        "expected": json.dumps(record_json(type_.outcome(payload, type_.sample_snapshot))),
        "plan": "[]",
        "facts": json.dumps(facts_json(facts)),
        "verdicts": json.dumps([verdict_json(one) for one in standing]),
    }


if __name__ == "__main__":
    main()
