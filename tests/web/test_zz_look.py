import pytest
from console import audit_tree
from console.audit import WORKER
from console.models import *
from console.registry import grants, kill, limits, connections, people as peo, incidents
from console.access import person, Role
from console.lifecycle import probe
from axe_playwright_python.sync_playwright import Axe


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_look(people, planner, erp, waiting, big, browse):
    connections.mirror(actor=WORKER)
    one = waiting()
    probe.probe_all(actor=WORKER)
    c = Connection.objects.get(name="plant")
    g = Grant.objects.filter(kind="type").order_by("id").first()
    grants.freeze(g, reason="Too many wrong dates since Tuesday", by=people.ana, actor=person(people.ana))
    grants.unfreeze(g, by=people.dora, actor=person(people.dora))
    t = kill.throw(
        scope="type",
        value="purchase_order_create",
        reason="Supplier prices are wrong",
        by=people.ana,
        actor=person(people.ana),
    )
    incidents.open_incident(
        kind="account",
        title="The account x on Plant is not fit to write",
        dedupe="x",
        lifts="Narrow the account.",
        connection=c,
        proposal=one,
        actor=WORKER,
    )
    audit_tree.sequence(actor=WORKER)
    e = AuditEntry.objects.filter(verb="proposal.assess").first()
    inc = Incident.objects.first()
    urls = {
        "exceptions": "/exceptions/",
        "agents": "/agents/",
        "agent": "/agents/planner/",
        "agent-new": "/agents/new",
        "systems": "/systems/",
        "system": "/systems/plant/",
        "types": "/types/",
        "type": "/types/production_order_reschedule/",
        "tool": "/tools/order_status_exceptions/",
        "audit": "/audit/",
        "entry": f"/audit/{e.pk}/",
        "story": f"/audit/proposals/{one.ref}/",
        "stop": "/stop/",
        "administration": "/administration/",
        "incident": f"/administration/incidents/{inc.pk}/",
        "help": "/help/",
    }
    import os
    only=os.environ.get("ONLY","").split()
    urls={k:v for k,v in urls.items() if not only or k in only}
    bad = []
    for who, scheme, width in (
        ("dora", "light", 1280),
        ("dora", "dark", 390),
        ("ana", "light", 390),
        ("cleo", "dark", 1280),
    ):
        page = browse(who, scheme=scheme, width=width)
        for name, url in urls.items():
            r = page.goto(url)
            if r.status != 200:
                bad.append((who, name, r.status))
                continue
            if width == 390 and page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                bad.append((name, "overflows", page.evaluate("document.documentElement.scrollWidth")))
            found = (
                Axe()
                .run(
                    page,
                    options={
                        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
                    },
                )
                .response["violations"]
            )
            for v in found:
                bad.append((who, scheme, width, name, v["id"], [n["html"][:160] for n in v["nodes"]][:2]))
            page.screenshot(path=f"/tmp/shots2/{name}-{who}-{scheme}-{width}.png", full_page=True)
    for b in bad:
        print(b)
    assert not bad
