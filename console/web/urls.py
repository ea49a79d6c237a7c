"""Every page of the people's door: route x method x role, in one table. A page that is not here does not exist.

The sign-in pages are allauth's, below `account/`; they decide for themselves who may use them.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from console.access import AUDITS, CONFIGURES, CONFIRMS, DECIDES, DOES, EXPORTS, READS, STOPS
from console.web import (
    administration,
    agents,
    answers,
    audit,
    decisions,
    evals,
    exceptions,
    exhibits,
    figures,
    home,
    incidents,
    labels,
    proposal,
    queue,
    stop,
    systems,
    tasks,
    types,
    value,
)
from console.web import (
    help as help_page,
)
from console.web.guards import EVERYBODY, SIGNED_IN, Nav, Route

ROUTES: tuple[Route, ...] = (
    Route("", queue.page, "queue", get=SIGNED_IN, nav=Nav("Queue", "inbox")),
    Route("proposals/<str:ref>/", proposal.page, "proposal", get=READS, doing="see proposals"),
    Route(
        "proposals/<str:ref>/evidence/<int:pk>", exhibits.content, "exhibit", get=READS, doing="see proposals"
    ),
    Route("proposals/<str:ref>/status", proposal.status, "proposal-status", get=READS, doing="see proposals"),
    Route(
        "proposals/<str:ref>/approve",
        decisions.approve,
        "approve",
        get=DECIDES,
        post=DECIDES,
        doing="approve",
    ),
    Route(
        "proposals/<str:ref>/reject", decisions.reject, "reject", get=DECIDES, post=DECIDES, doing="reject"
    ),
    Route(
        "proposals/<str:ref>/changes",
        decisions.request_changes,
        "request-changes",
        get=DECIDES,
        post=DECIDES,
        doing="ask for changes",
    ),
    Route(
        "proposals/<str:ref>/amend",
        decisions.amend,
        "amend",
        get=DECIDES,
        post=DECIDES,
        doing="amend a proposal",
    ),
    Route(
        "proposals/<str:ref>/settle",
        decisions.settle,
        "settle",
        get=DECIDES,
        post=DECIDES,
        doing="settle an outcome",
    ),
    Route(
        "tasks/",
        tasks.page,
        "tasks",
        get=READS | DOES,
        doing="see tasks",
        nav=Nav("Tasks", "clipboard-check"),
    ),
    Route("tasks/<str:ref>/", tasks.task, "task", get=READS | DOES, doing="see tasks"),
    Route("tasks/<str:ref>/take", tasks.take, "task-take", post=DOES, doing="take on a task"),
    Route(
        "tasks/<str:ref>/give-back", tasks.give_back, "task-give-back", post=DOES, doing="give a task back"
    ),
    Route("tasks/<str:ref>/confirm", tasks.confirm, "task-confirm", post=DOES, doing="confirm a task"),
    Route(
        "exceptions/",
        exceptions.page,
        "exceptions",
        get=READS,
        doing="see exceptions",
        nav=Nav("Exceptions", "triangle-alert"),
    ),
    Route("agents/", agents.page, "agents", get=READS, doing="see agents", nav=Nav("Agents", "bot")),
    Route("agents/new", agents.new, "agent-new", get=CONFIGURES, post=CONFIGURES, doing="register an agent"),
    Route("agents/<slug:slug>/", agents.agent, "agent", get=READS, doing="see agents"),
    Route(
        "agents/<slug:slug>/figures",
        figures.agent,
        "agent-figures",
        get=READS,
        doing="see an agent's figures",
    ),
    Route(
        "agents/<slug:slug>/versions",
        agents.add_version,
        "agent-version",
        post=CONFIGURES,
        doing="register a version",
    ),
    Route(
        "agents/<slug:slug>/caps", agents.set_caps, "agent-caps", post=CONFIGURES, doing="set an agent's caps"
    ),
    Route("agents/<slug:slug>/keys", agents.issue_key, "key-issue", post=CONFIGURES, doing="issue a key"),
    Route(
        "agents/<slug:slug>/keys/<slug:key_id>/revoke",
        agents.revoke_key,
        "key-revoke",
        post=CONFIGURES,
        doing="revoke a key",
    ),
    Route("agents/<slug:slug>/grants", agents.set_grant, "grant-set", post=CONFIGURES, doing="set a grant"),
    Route(
        "agents/<slug:slug>/grants/<int:pk>/freeze",
        agents.freeze,
        "grant-freeze",
        post=STOPS,
        doing="freeze a grant",
    ),
    Route(
        "agents/<slug:slug>/grants/<int:pk>/down",
        agents.step_down,
        "grant-down",
        post=STOPS,
        doing="put a grant down",
    ),
    Route(
        "agents/<slug:slug>/grants/<int:pk>/sampling",
        agents.ask_sampling,
        "grant-sampling",
        post=CONFIGURES,
        doing="ask for a sampling rule",
    ),
    Route(
        "agents/<slug:slug>/grants/<int:pk>/unfreeze",
        agents.unfreeze,
        "grant-unfreeze",
        post=CONFIGURES,
        doing="ask to unfreeze a grant",
    ),
    Route(
        "figures/", figures.page, "figures", get=READS, doing="see figures", nav=Nav("Figures", "activity")
    ),
    Route("evals/", evals.page, "evals", get=READS, doing="see evals", nav=Nav("Evals", "graduation-cap")),
    Route("evals/suites/<slug:name>/", evals.suite, "eval-suite", get=READS, doing="see evals"),
    Route(
        "evals/suites/<slug:name>/next",
        evals.next_version,
        "eval-suite-next",
        post=CONFIGURES,
        doing="freeze cases",
    ),
    Route(
        "evals/suites/<slug:name>/<int:number>/labels",
        labels.page,
        "labels",
        get=CONFIRMS,
        post=CONFIRMS,
        doing="judge labels",
    ),
    Route(
        "evals/suites/<slug:name>/<int:number>/labels/draw",
        labels.draw,
        "labels-draw",
        post=CONFIRMS,
        doing="have labels double-checked",
    ),
    Route(
        "evals/gates/<slug:about>", evals.set_gate, "eval-gate", post=CONFIGURES, doing="ask for another gate"
    ),
    Route("evals/cases/<int:pk>/", evals.case, "eval-case", get=READS, doing="see evals"),
    Route("evals/runs/<str:run>/", evals.run, "eval-run", get=READS, doing="see evals"),
    Route("evals/answers/", answers.page, "answers", get=READS, doing="see answers"),
    Route("evals/answers/<str:answer>/", answers.answer, "answer", get=READS, doing="see answers"),
    Route(
        "evals/answers/<str:answer>/mark", answers.mark, "answer-mark", post=DECIDES, doing="mark an answer"
    ),
    Route(
        "evals/answers/<str:answer>/case",
        answers.accept,
        "answer-case",
        get=CONFIRMS,
        post=CONFIRMS,
        doing="make a case",
    ),
    Route(
        "proposals/<str:ref>/case",
        evals.accept,
        "eval-accept",
        get=CONFIRMS,
        post=CONFIRMS,
        doing="make a case",
    ),
    Route("figures/value/", value.page, "value", get=READS, doing="see the value ledger"),
    Route("figures/value.csv", value.as_csv, "value-csv", get=READS, doing="take the value ledger"),
    Route(
        "figures/value/baselines",
        value.measure,
        "baseline-add",
        post=CONFIGURES,
        doing="write down a baseline",
    ),
    Route("systems/", systems.page, "systems", get=READS, doing="see systems", nav=Nav("Systems", "plug")),
    Route("systems/<slug:name>/", systems.connection, "system", get=READS, doing="see systems"),
    Route(
        "systems/<slug:name>/test", systems.test, "system-test", post=CONFIGURES, doing="test a connection"
    ),
    Route(
        "systems/<slug:name>/disable",
        systems.disable,
        "system-disable",
        post=CONFIGURES,
        doing="switch a connection",
    ),
    Route(
        "systems/<slug:name>/enable",
        systems.enable,
        "system-enable",
        post=CONFIGURES,
        doing="switch a connection",
    ),
    Route("types/", types.page, "types", get=READS, doing="see types", nav=Nav("Types", "shapes")),
    Route("capabilities/", types.capabilities, "capabilities", get=READS, doing="see capabilities"),
    Route("types/<slug:name>/", types.type_, "type", get=READS, doing="see types"),
    Route("tools/<slug:name>/", types.tool, "tool", get=READS, doing="see read tools"),
    Route(
        "limits/<slug:owner>/<slug:name>", types.set_limit, "limit-set", post=CONFIGURES, doing="set a limit"
    ),
    Route(
        "audit/", audit.page, "audit", get=AUDITS, doing="see the audit log", nav=Nav("Audit", "scroll-text")
    ),
    Route("audit/export", audit.export, "audit-export", get=EXPORTS, doing="export the audit log"),
    Route("audit/checkpoint", audit.checkpoint, "audit-checkpoint", get=AUDITS, doing="take a checkpoint"),
    Route(
        "audit/proposals/<str:ref>/", audit.story, "audit-story", get=AUDITS, doing="read a proposal's story"
    ),
    Route("audit/<int:pk>/", audit.entry, "audit-entry", get=AUDITS, doing="see the audit log"),
    Route("audit/<int:pk>/receipt", audit.receipt, "audit-receipt", get=AUDITS, doing="take a receipt"),
    Route(
        "stop/",
        stop.page,
        "stops",
        get=READS,
        post=STOPS,
        doing="throw the kill switch",
        nav=Nav("Stop", "octagon-x"),
    ),
    Route("stop/<int:pk>/lift", stop.lift, "stop-lift", post=CONFIRMS, doing="ask to lift a stop"),
    Route(
        "administration/",
        administration.page,
        "administration",
        get=READS,
        doing="see administration",
        nav=Nav("Administration", "settings"),
    ),
    Route(
        "administration/widenings/<int:pk>/confirm",
        administration.confirm,
        "widening-confirm",
        post=CONFIRMS,
        doing="confirm a change",
    ),
    Route(
        "administration/widenings/<int:pk>/decline",
        administration.decline,
        "widening-decline",
        post=CONFIRMS,
        doing="decline a change",
    ),
    Route(
        "administration/attention/test",
        administration.ask_for_test,
        "test-ask",
        post=CONFIGURES,
        doing="put a test of attention into the queue",
    ),
    Route(
        "administration/people/<int:pk>/roles",
        administration.set_roles,
        "roles-set",
        post=CONFIGURES,
        doing="set roles",
    ),
    Route(
        "administration/incidents/<int:pk>/",
        incidents.page,
        "incident",
        get=READS,
        doing="see incidents",
    ),
    Route(
        "administration/incidents/<int:pk>/take",
        incidents.take,
        "incident-take",
        post=STOPS,
        doing="see to an incident",
    ),
    Route(
        "administration/incidents/<int:pk>/close",
        incidents.lift,
        "incident-lift",
        post=STOPS,
        doing="close an incident",
    ),
    Route("help/", help_page.page, "help", get=SIGNED_IN),
    Route("keys", home.keys, "keys", get=SIGNED_IN),
    Route("setting-up", home.setting_up, "setting-up", get=SIGNED_IN),
    Route("theme", home.theme, "theme", post=EVERYBODY),
)

urlpatterns: list[URLPattern | URLResolver] = [
    *(route.pattern() for route in ROUTES),
    path("account/", include("allauth.urls")),
]
