"""What the console owes a robot at screens: the last place, certified screens, evidence that stays what it was."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.test import Client

from console import access, catalogue
from console.audit import WORKER
from console.errors import Denied, Refused
from console.lifecycle import exhibits
from console.models import AuditEntry, CertifiedScreen, Connection, Exhibit, Incident, Widening
from console.registry import connections as registry
from console.registry import screens, widenings
from integrations import contract
from integrations.contract import Step
from tests import cast
from tests.cast import People, Planner
from tests.lifecycle import corridor
from tests.rigs import alarming
from tests.sandbox import SandboxProcess

TYPE = "production_order_reschedule"
SCRIPT = "Tryton 8.0, production_order_reschedule, script 2"
PRINT = "ab" * 32


def entry(adapter: str, system: str = "erp", *types: str) -> dict[str, Any]:
    """A connection's entry in the settings; none of its secrets is needed."""
    return {
        "adapter": f"integrations.{adapter}.adapter",
        "system": system,
        "options": {"url": "http://127.0.0.1:9", "database": "none"},
        "reader": {"login": "reader", "secret": "NONE"},
        "writers": {name: {"login": "robot", "secret": "NONE"} for name in types},
    }


def use(settings: LazySettings, **entries: dict[str, Any]) -> None:
    """Make these the settings' connections."""
    settings.CONNECTIONS = entries
    catalogue.specs.cache_clear()


def test_a_robot_is_refused_where_another_connection_carries_the_type(settings: LazySettings) -> None:
    use(settings, rpc=entry("tryton", "erp", TYPE), screens=entry("rpa", "erp", TYPE))
    try:
        with pytest.raises(
            ImproperlyConfigured, match=rf"'screens'.*connection 'rpc' has an account for {TYPE}"
        ):
            catalogue.specs()
    finally:
        catalogue.specs.cache_clear()


@pytest.mark.parametrize(
    "other", [entry("tryton", "erp", "sales_order_promise"), entry("tryton", "another", TYPE)]
)
def test_a_robot_stands_beside_what_carries_something_else(
    settings: LazySettings, other: dict[str, Any]
) -> None:
    use(settings, rpc=other, screens=entry("rpa", "erp", TYPE))
    try:
        assert set(catalogue.specs()) == {"rpc", "screens"}
    finally:
        catalogue.specs.cache_clear()


@pytest.mark.django_db
def test_a_robot_is_not_switched_on_beside_what_carries_its_type(
    settings: LazySettings, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, rpc=entry("tryton", "erp", TYPE))
    api = catalogue.specs()["rpc"]
    use(settings, screens=entry("rpa", "erp", TYPE))
    robot = catalogue.specs()["screens"]
    # Settings that a newer start would refuse: a process that has been running since before.
    monkeypatch.setattr(registry, "specs", lambda: {"rpc": api, "screens": robot})
    row = cast.connection("screens", "erp", "Screens")
    with pytest.raises(Refused, match="'rpc' has an account"):
        registry.enable(row, by=people.dora, actor=access.person(people.dora))
    assert not Widening.objects.exists()
    catalogue.specs.cache_clear()


def step(fingerprint: str = PRINT) -> Step:
    """A step at a screen."""
    return Step("screen", "At the screen", {"screen": {"script": SCRIPT, "fingerprint": fingerprint}})


def certified(connection: Connection, people: People, fingerprint: str = PRINT) -> None:
    """Dora asks, Ana confirms."""
    asked = screens.certify(
        connection,
        transaction_type=TYPE,
        script=SCRIPT,
        fingerprint=fingerprint,
        by=people.dora,
        actor=access.person(people.dora),
    )
    with pytest.raises(Denied):
        widenings.confirm(asked, by=people.dora, actor=access.person(people.dora))
    widenings.confirm(asked, by=people.ana, actor=access.person(people.ana))


@pytest.mark.django_db
def test_a_screen_is_worked_at_only_after_two_people_certified_it(plant: Connection, people: People) -> None:
    (before,) = screens.uncertified(plant, TYPE, [step()])
    assert before.level is contract.Level.ERROR
    assert PRINT in before.text
    certified(plant, people)
    assert list(screens.uncertified(plant, TYPE, [step()])) == []
    (changed,) = screens.uncertified(plant, TYPE, [step("cd" * 32)])
    assert "changed since it was certified" in changed.text
    assert AuditEntry.objects.filter(verb="screen.certify").count() == 1


@pytest.mark.django_db
def test_a_step_without_a_screen_needs_no_certificate(plant: Connection) -> None:
    assert list(screens.uncertified(plant, TYPE, [Step("write", "Write it", {"method": "write"})])) == []


@pytest.mark.django_db
def test_the_command_asks_for_a_second_person(plant: Connection, people: People) -> None:
    call_command("certify_screen", plant.name, TYPE, SCRIPT, PRINT, "--by", people.dora.username)
    assert Widening.objects.get().kind == "certify_screen"
    assert not CertifiedScreen.objects.exists()
    with pytest.raises(CommandError, match="64 hexadecimal digits"):
        call_command("certify_screen", plant.name, TYPE, SCRIPT, "12", "--by", people.dora.username)
    with pytest.raises(CommandError, match="There is no connection 'nowhere'"):
        call_command("certify_screen", "nowhere", TYPE, SCRIPT, PRINT, "--by", people.dora.username)
    with pytest.raises(CommandError, match="administrator"):
        call_command("certify_screen", plant.name, TYPE, SCRIPT, PRINT, "--by", people.cleo.username)


@pytest.mark.django_db
def test_an_alarm_opens_an_incident_and_its_pictures_are_kept_before_and_after(
    planner: Planner,
    people: People,
    sandbox: SandboxProcess,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry_, secrets = sandbox.settings("tests.rigs.alarming")
    cast.use_connections(settings, monkeypatch, {cast.PLANT: entry_}, secrets)
    corridor.prove_accounts()
    one = corridor.in_review(planner, corridor.reschedule(sandbox))
    one = corridor.committed(corridor.approved(one, people.ana))
    incident = Incident.objects.get(kind="alarm")
    assert alarming.ALARM in incident.title
    assert incident.proposal_id == one.pk
    attempt = one.attempts.get()
    assert [row.name for row in attempt.exhibits.order_by("id")] == [
        alarming.FILLED.name,
        alarming.ENDED.name,
    ]
    verbs = corridor.story(one)
    # In one transaction with the note, so before the click; and with the doubt after it.
    told = [verb for verb in verbs if verb in {"commit.note", "evidence.keep", "commit.in_doubt"}]
    assert told == ["commit.note", "evidence.keep", "evidence.keep", "commit.in_doubt"]
    client = Client()
    client.force_login(people.ana)
    page = client.get(f"/proposals/{one.ref}/").content.decode()
    assert "What the robot saw" in page
    assert "last door: screen robot" in page
    for row in attempt.exhibits.all():
        assert f"/proposals/{one.ref}/evidence/{row.pk}" in page


PNG = b"\x89PNG\r\n\x1a\n not really"


@pytest.mark.django_db
def test_evidence_is_kept_under_the_digest_that_the_audit_log_names(planner: Planner, people: People) -> None:
    proposal = cast.propose(planner)
    shown = [
        contract.Exhibit("Before", "image/png", PNG),
        contract.Exhibit("Before", "text/yaml", b"- dialog"),
    ]
    with transaction.atomic():
        exhibits.keep(proposal, shown, actor=WORKER)
    kept = list(Exhibit.objects.order_by("id"))
    said = AuditEntry.objects.get(verb="evidence.keep").body
    for row, one in zip(kept, shown, strict=True):
        assert row.sha256 == hashlib.sha256(one.content).hexdigest()
        assert row.sha256 in said
    client = Client()
    client.force_login(people.cleo)
    answer = client.get(f"/proposals/{proposal.ref}/evidence/{kept[0].pk}")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/png", PNG)
    assert answer["X-Content-Type-Options"] == "nosniff"
    words = client.get(f"/proposals/{proposal.ref}/evidence/{kept[1].pk}")
    assert words["Content-Type"].startswith("text/plain")


@pytest.mark.django_db
def test_evidence_cannot_be_changed_and_what_does_not_fit_its_digest_is_not_shown(
    planner: Planner, people: People
) -> None:
    proposal = cast.propose(planner)
    with transaction.atomic():
        exhibits.keep(proposal, [contract.Exhibit("Before", "image/png", PNG)], actor=WORKER)
    with pytest.raises(DatabaseError), transaction.atomic():
        Exhibit.objects.update(content=b"another picture")
    with pytest.raises(DatabaseError), transaction.atomic():
        Exhibit.objects.all().delete()
    row = Exhibit.objects.get()
    false = Exhibit.objects.create(
        proposal=proposal, name="Forged", media_type="image/png", sha256="0" * 64, content=PNG, at=row.at
    )
    client = Client()
    client.force_login(people.ana)
    assert client.get(f"/proposals/{proposal.ref}/evidence/{false.pk}").status_code == 422


@pytest.mark.django_db
def test_what_is_too_large_leaves_its_digest(planner: Planner) -> None:
    proposal = cast.propose(planner)
    large = contract.Exhibit("Huge", "image/png", b"x" * (2 * 1024 * 1024 + 1))
    with transaction.atomic():
        exhibits.keep(proposal, [large], actor=WORKER)
    row = Exhibit.objects.get()
    assert (bytes(row.content), row.sha256) == (b"", large.sha256)
