"""Help: the words, the states and their arrows, who is trusted with what, the keyboard."""

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
    ("Incident", "Something that must not happen did, or might have. Somebody has to look."),
    ("Checkpoint", "A signed head of all audit entries so far. Keep copies elsewhere."),
)

LEVELS = (
    ("Off", "Nothing."),
    ("Shadow", "Judged and recorded, never sent."),
    ("Propose", "Every item is countersigned by a person."),
)

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
        {"words": WORDS, "levels": LEVELS, "states": states, "trust": trust, "all_roles": list(Role)},
    )
