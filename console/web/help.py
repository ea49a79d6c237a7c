"""Help: the words, the states and their arrows, who is trusted with what, the way to a first write, the keyboard."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.access import AUDITS, CONFIGURES, CONFIRMS, DECIDES, EXPORTS, READS, STOPS, Role
from console.lifecycle.states import MOVES
from console.models import FINAL, State

WORDS = (
    ("Proposal", "What an agent wants done: one transaction type on one record."),
    ("Revision", "One version of a proposal's payload. Amending makes a new one."),
    ("Assessment", "What the machine saw: the record as it was, the findings, who has to agree. Frozen."),
    ("Digest", "A fingerprint of exactly what is shown, approved and sent. Another digest is another thing."),
    ("Stamp", "The system's own version of the record. If it moved, an approval does not count any more."),
    ("Finding", "One message of one check, with what would be right."),
    ("Requirement", "One reason why a person has to agree."),
    ("Reading", "One answer of a read tool, with its time, source and quality. Proposals rest on readings."),
    (
        "Live answer",
        "What an agent told a person, with the readings it rests on. People mark it right or wrong; it is never told.",
    ),
    ("Attempt", "One try to write, on record before the first byte leaves."),
    ("Read-back", "Asking the system what is true after an attempt. Only then is something committed."),
    (
        "Outcome unknown",
        "It was sent and nobody can tell. It is never sent again blindly: the system is asked, or a person looks.",
    ),
    ("Grant", "What one version of an agent may use, where, and how far."),
    ("Override rate", "Rejected or amended, of those decided. Always with the number it rests on."),
    (
        "Kill switch",
        "Stop, now: everything, a system, a transaction type, an agent. Nothing is lost; it waits.",
    ),
    (
        "Test of attention",
        "A wrong copy of a real proposal among the others. It cannot be sent, counts nowhere, and is told at once.",
    ),
    ("Incident", "Something that must not happen did, or might have. Somebody has to look."),
    ("Checkpoint", "A signed head of all audit entries so far. Keep copies elsewhere."),
)

LEVELS = (
    ("Off", "Nothing."),
    ("Shadow", "Judged and recorded, never sent."),
    ("Propose", "Every item is countersigned by a person."),
)

FIRST_WRITE = (
    (
        "Connect, to read only",
        (
            "Give the system an account that can only read and name it in CONNECTIONS. Register the "
            "agent with somebody who answers for it, and grant its version read tools. Nothing can be "
            "written yet, by anybody."
        ),
        ("manage.py capabilities\nmanage.py probe"),
    ),
    (
        "Let it read, and judge without sending",
        (
            "Let it read for a while, and mark what it answers people right or wrong: a version with "
            "no record of reliable reading gets no write. Then "
            "grant it one transaction type in shadow: what it proposes is judged, recorded, held "
            "against what people then did, and never sent. The time people take now is the baseline for"
            " what it saves."
        ),
        "",
    ),
    (
        "Harvest what people did",
        (
            "One case for every change that people made and for orders they let be, each with what "
            "could be read just before it and nothing of later. What cannot be told any more is left "
            "out, and counted by its reason. Where the system keeps no history, --recorded makes cases "
            "of what the agent read meanwhile."
        ),
        "manage.py harvest erp --type sales_order_promise --since 2026-07-01 --to promises.jsonl",
    ),
    (
        "Freeze the cases and set the bar",
        (
            "Look through the file: people make mistakes too. Take out or correct what was wrong, then "
            "import it. Three in four cases are hold-out, for the gate alone; nobody who builds the "
            "agent should see them. Then have a second person judge a tenth of the labels blind: the "
            "suite's page draws them, and tells how far both agree."
        ),
        (
            "manage.py evals import promises-2026q3 promises.jsonl\n"
            "manage.py evals gate sales_order_promise --bar 0.95\n"
            "manage.py evals export promises-2026q3 --split public --to practice.jsonl"
        ),
    ),
    (
        "Let it sit a run",
        (
            "The same agent, unchanged, with a key that reaches only this run: it reads what was "
            "readable then, and proposes or says that nothing should be done. Practise on the public "
            "cases first. An attempt at the gate costs a part of what the agent may ever try; how "
            "likely a good agent passes is told before it starts."
        ),
        'POST /api/v1/runs   {"suite": "promises-2026q3"}',
    ),
    (
        "Two people raise the grant",
        (
            "If the gate opened, an administrator asks for the level propose and a second person "
            "confirms it. The evidence counts for this version of the agent, of the type and of the "
            "suite, and only for a while."
        ),
        "",
    ),
    (
        "It proposes, people countersign",
        (
            "Every proposal is decided by a person who sees what changes, how this version did in its "
            "run and what people made of its proposals so far. Only a worker writes, with an account "
            "that can do this one thing."
        ),
        "",
    ),
    (
        "Watch it",
        (
            "Override rate with its reasons, errors, latency, and how often the record had moved, "
            "always with the number they rest on. A new version of the agent begins again at reading."
        ),
        "",
    ),
    (
        "What takes it down again",
        (
            "By itself and at once: when people override it too often, or the evidence is too old, or "
            "the type, the suite or the agent's version is another. By anyone with the right, with a "
            "reason. What waits is held, an incident says what happened and what would lift it, and two"
            " people raise it again."
        ),
        "",
    ),
)
"""How a plant gets an agent to its first write: step, what it means, commands."""

TRUST = (
    ("See queue, agents, systems, types, audit log", READS),
    ("Approve, reject, amend, request changes", DECIDES),
    ("Throw the kill switch, freeze a grant", STOPS),
    ("Register agents, keys, grants, limits, roles", CONFIGURES),
    ("Confirm, as the second person, what allows more", CONFIRMS),
    ("Follow the audit log, take receipts", AUDITS),
    ("Export the audit log", EXPORTS),
)


def page(request: HttpRequest) -> HttpResponse:
    """Everything a person needs to know to use this, on one page."""
    states = [
        {
            "state": state,
            "final": state in FINAL,
            "arrows": [(letter, to) for to, letter in MOVES[state].items()],
        }
        for state in State
    ]
    trust = [(doing, [role in who for role in Role]) for doing, who in TRUST]
    return render(
        request,
        "help/page.html",
        {
            "words": WORDS,
            "first_write": FIRST_WRITE,
            "levels": LEVELS,
            "states": states,
            "trust": trust,
            "all_roles": list(Role),
        },
    )
