"""The forms of the door's answers. What stands here is what OpenAPI says and what is sent: one source for both.

Fields may be added; none is renamed, removed or given another meaning within a version of the door. Times are
ISO 8601 in UTC; money and quantities are decimals in text.

The file is long because every form of the door stands in it, and nothing else.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from console.models import Answer, Outcome, Reason, State

Ref = str
Json = dict[str, Any]
StateName = Annotated[str, Field(json_schema_extra={"enum": list(State.values)})]
AnswerName = Annotated[str, Field(json_schema_extra={"enum": list(Answer.values)})]
ReasonCode = Annotated[str, Field(json_schema_extra={"enum": ["", *Reason.values]})]
OutcomeName = Annotated[str, Field(json_schema_extra={"enum": list(Outcome.values)})]


class Shape(BaseModel):
    """The form of everything this door answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(Shape):
    """One thing that was not right, and what would be."""

    id: str = Field(description="Stable name of the message, `check.message`.")
    level: Literal["info", "warning", "error"]
    field: str = Field(description="Path into what was sent; empty for the whole.")
    text: str
    hint: str = Field(description="What would be right.")


class Problem(Shape):
    """An error (RFC 9457)."""

    type: str = Field(description="Address of the problem's description, relative to the console.")
    title: str
    status: int
    detail: str = Field(description="What was wrong here, and what would be right.")
    code: str = Field(description="Stable name of the problem, for programs.")
    errors: list[Fault] = Field(description="Every fault at once, where there are several.")
    request_id: str = Field(description="Our name for this call; quote it when you ask for help.")


class ProblemType(Shape):
    """The description of a kind of problem."""

    type: str
    code: str
    title: str
    status: int
    retry_after: int | None = Field(description="Seconds after which it is worth trying again, if it is.")


class Way(Shape):
    """A connection that a tool or type may be used on."""

    name: str
    title: str
    system: str
    autonomy: str = Field(description="off, shadow, propose or sampled; what it means is in `autonomies`.")
    effect: str | None = Field(
        description="What the system gives against doing a thing twice; null for reads."
    )
    unsupported: list[str] = Field(description="Payload paths that this connection cannot carry.")
    note: str = Field(description="What to know about this type on this connection.")
    standing: str = Field(description="Why your grant stands lower than it did; empty when it does not.")


class HeldGrant(Shape):
    """A grant of yours that cannot be used now: frozen, put down to off, or its gate is closed."""

    kind: Literal["type", "tool"]
    name: str
    connection: str
    autonomy: str
    why: str = Field(description="What happened and when; what is proposed there stays where it is.")


class Call(Shape):
    """How to call it over HTTP. `body` is an example that is right in form."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class ToolCard(Shape):
    """A read tool that this agent version may use."""

    name: str
    version: int
    title: str
    summary: str
    connections: list[Way]
    arguments: Json = Field(description="JSON Schema of `arguments`.")
    answer: Json = Field(description="JSON Schema of `value` in the answer.")
    sample: Json = Field(description="Arguments that are right in form.")
    sample_answer: Json
    call: Call


class TypeCard(Shape):
    """A transaction type that this agent version may propose."""

    name: str
    version: int
    title: str
    summary: str
    record: str
    connections: list[Way]
    payload: Json = Field(description="JSON Schema of `payload`.")
    sample: Json = Field(description="A payload that is right in form.")
    call: Call


class Tools(Shape):
    """Everything this agent version may read and propose."""

    agent: str
    version: str
    how: list[str] = Field(description="How to work here, in sentences.")
    autonomies: dict[str, str]
    held: list[HeldGrant] = Field(description="Grants that cannot be used now, and why.")
    read_tools: list[ToolCard]
    transaction_types: list[TypeCard]


class CapabilityWay(Shape):
    """One path that carries a transaction type or read tool."""

    connection: str = Field(description="Its name; empty for a shipped adapter that is not connected.")
    title: str
    system: str
    adapter: str
    path: str = Field(description="How the system is spoken to.")
    level: int = Field(description="ISA-95 level; 3 is read only.")
    guarantee: Literal["keyed", "unique reference", "guarded", "read-back only", "by hand", "none"] | None = (
        Field(
            description="What the system gives against doing a thing twice, the strongest first; null for reads."
        )
    )
    means: str = Field(description="The guarantee in words.")
    unsupported: list[str] = Field(description="Payload paths that this path cannot carry.")
    note: str
    verified: str = Field(
        description="What it was tried against; empty: not verified against a vendor system."
    )
    verified_by: str = Field(
        description="The connection that reads the record back, where it is another one."
    )
    ready: bool = Field(description="Whether it can be granted and used as things stand.")
    lacks: str = Field(description="What is missing if not.")
    closed: str = Field(
        description="Why it is not available on this system, whatever is configured; empty where it is."
    )


class CapabilityCard(Shape):
    """A transaction type or read tool, and what can carry it. No grant is implied: `tools` lists yours."""

    kind: Literal["type", "tool"]
    name: str
    version: int
    title: str
    summary: str
    ways: list[CapabilityWay] = Field(description="Connections first, ready and strongest first.")


class Capabilities(Shape):
    """What this console can do at all, and with which guarantee, to be read before an agent is built."""

    transaction_types: list[CapabilityCard]
    read_tools: list[CapabilityCard]


class FunctionBody(Shape):
    """One function, as language models are told of it."""

    name: str
    description: str
    parameters: Json


class Function(Shape):
    """One entry of a function-calling list."""

    type: Literal["function"]
    function: FunctionBody


class FunctionCall(Shape):
    """What to send when the model calls a function: put its arguments at `arguments_at` of the body."""

    method: str
    path: str
    headers: dict[str, str]
    arguments_at: Literal["", "arguments"]


class Functions(Shape):
    """The same tools as a function-calling list, and how to carry each call out."""

    functions: list[Function]
    calls: dict[str, FunctionCall]


class ToolsAnswer(RootModel[Tools | Functions]):
    """What `tools` answers: cards, or with `?format=functions` a list for function calling."""


class DifferenceView(Shape):
    """A field on which two sources differ by more than is tolerated."""

    field: str
    here: str
    there: str


class CrossCheckView(Shape):
    """What a second source said to the same question."""

    connection: str
    source: str
    as_of: dt.datetime | None
    agrees: bool
    differences: list[DifferenceView]
    trouble: str = Field(description="Why the second source gave no usable answer; empty if it did.")


class ReadingAnswer(Shape):
    """The answer of a read tool."""

    reading: Ref = Field(description="Cite it in `readings` when a proposal rests on it.")
    tool: str
    tool_version: int
    connection: str
    value: Json
    as_of: dt.datetime | None = Field(
        description="The last proof that it is so; null when the source cannot say: nothing may rest on it then."
    )
    source: str
    quality: Literal["good", "stale", "uncertain"] = Field(
        description="Only a good reading may be cited: a proposal that rests on another is refused."
    )
    remark: str = Field(description="Why the quality is not good; empty when it is.")
    cross_check: CrossCheckView | None = Field(
        description="The second source, where the connection names one for this tool."
    )
    source_time: dt.datetime | None = Field(
        description="Since when the machine's own clock says it is so; null where the path does not tell."
    )
    latency_ms: int


class Received(Shape):
    """A proposal is stored. What becomes of it is at `url`."""

    ref: Ref
    state: Literal["received"]
    transaction_type: str
    connection: str
    url: str


class Amount(Shape):
    """Money."""

    amount: str
    currency: str


class ProposalCard(Shape):
    """A proposal in a list."""

    ref: Ref
    state: StateName
    state_since: dt.datetime
    state_reason: str = Field(description="Why it is where it is, when that is not plain from the state.")
    final: bool = Field(description="Whether nothing will happen to it any more.")
    transaction_type: str
    type_version: int
    connection: str
    autonomy: str
    target: str
    label: str
    risk: Literal["low", "medium", "high"]
    value: Amount | None
    due: dt.date | None
    revision: int
    version: str = Field(description="The version of your agent that proposed it.")
    submitted_at: dt.datetime
    expires_at: dt.datetime
    reverses: Ref | None
    url: str


class Page(Shape):
    """Some of your proposals, the newest first."""

    proposals: list[ProposalCard]
    next: str | None = Field(description="Address of the next page; null on the last.")


class RevisionView(Shape):
    """One version of the payload."""

    number: int
    payload: Json
    digest: str = Field(description="SHA-256 over the canonical form (RFC 8785) of the payload, in hex.")
    rationale: str
    by: Literal["agent", "reviewer"]
    created_at: dt.datetime
    readings: list[Ref]


class VerdictView(Shape):
    """Where one requirement stands."""

    requirement: str
    status: Literal["satisfied", "not_applicable", "unsatisfied", "error"]
    text: str
    who: str = Field(description="Who can satisfy it.")


class RestView(Shape):
    """A reading that it rests on, as it was when it was assessed. Those that came another way were read again."""

    ref: Ref
    tool: str
    connection: str
    values: Json = Field(description="The fields that must not move until the commit.")
    source: str
    as_of: dt.datetime | None
    quality: Literal["good", "stale", "uncertain"]
    remark: str
    at: dt.datetime
    again: bool
    cross_check: CrossCheckView | None


class AssessmentView(Shape):
    """What the machine saw, of the newest revision that was looked at."""

    number: int
    revision: int
    digest: str = Field(description="What people decide on and what is sent: one digest.")
    as_of: dt.datetime
    findings: list[Fault]
    requirements: list[VerdictView]
    readings: list[RestView]


class DecisionView(Shape):
    """One person's answer. Who it was is not the agent's business; the auditor sees it."""

    answer: AnswerName
    reason: ReasonCode
    note: str
    role: str
    assessment: int
    at: dt.datetime


class AttemptView(Shape):
    """One try to commit."""

    number: int
    outcome: OutcomeName
    text: str
    started_at: dt.datetime
    answered_at: dt.datetime | None


class OutcomeView(Shape):
    """What came of it in the system, once something was sent."""

    committed: bool | None = Field(description="Null while nobody knows.")
    document: str = Field(description="The system's own key of the document, when it told one.")
    label: str
    attempts: list[AttemptView]


class TaskView(Shape):
    """What became of something that a person does by hand. Who it was is not the agent's business."""

    until: dt.datetime | None = Field(
        description="Until when somebody has to say what became of it; null once it has ended."
    )
    said: Literal["done", "not_done", "unsure"] | None = Field(description="Null until somebody has said it.")
    note: str = Field(description="What they did and saw, in their words.")
    at: dt.datetime | None
    read_back: bool = Field(
        description="Whether a system is asked before the word counts; else the person's word is the record."
    )


class ProposalView(ProposalCard):
    """A proposal with everything its agent may know."""

    held: str = Field(
        description="Why it is held where it is (a kill switch, a freeze); empty when it is not."
    )
    revisions: list[RevisionView]
    assessment: AssessmentView | None
    decisions: list[DecisionView]
    outcome: OutcomeView | None
    task: TaskView | None = Field(description="Once it was given to people to be done by hand.")


class Against(Shape):
    """The stored snapshot that was judged against."""

    target: str
    label: str
    as_of: dt.datetime
    age_seconds: int
    source: str


class Validation(Shape):
    """What the judges say so far. The record is read anew before anybody is asked."""

    sound: bool = Field(description="Whether nothing found so far would refuse it.")
    findings: list[Fault]
    requirements: list[VerdictView]
    against: Against | None = Field(description="Null when only the form could be judged.")
    text: str


class PowerView(Shape):
    """How likely an agent with this true share of right answers passes."""

    share: str
    passes: str = Field(description="If none of its errors is critical.")
    strict: str = Field(description="If all of them are.")


class PlanView(Shape):
    """What a run takes, costs and can do. Fixed before it starts."""

    cases: int = Field(
        description="How many cases, hold-out ones for an attempt and public ones for practice."
    )
    wrong: int = Field(description="How many may be wrong. None may be in a critical field.")
    bar: str = Field(description="The share right that it proves with 95 % confidence, such as 0.95.")
    repeats: int = Field(description="How often each case is sat.")
    consistency: str = Field(description="The share of cases that must be right every time.")
    cost: str = Field(description="What it spends of your agent's lifetime error, whatever comes of it.")
    left_before: str
    left_after: str
    known: int = Field(description="How many of its cases your agent has sat before.")
    power: list[PowerView]


class ResultView(Shape):
    """What a finished run came to. Which answers were right is for people."""

    right: int
    cases: int
    low: str = Field(description="Lower end of Wilson's 95 % interval of the share right.")
    high: str
    consistent: int = Field(description="Cases that were right every time.")
    critical: int = Field(description="Answers wrong in something that allows no error.")
    passed: bool
    reasons: list[str] = Field(description="Why it did not pass; empty if it did.")
    valid_until: dt.datetime | None = Field(description="Until when it counts, if it opened the gate.")


class RunView(Shape):
    """One run of your agent, and how far it is."""

    ref: Ref
    version: str
    suite: str
    suite_version: int
    suite_digest: str
    kind: Literal["type", "tool"]
    about: str = Field(description="The transaction type or read tool that its cases are about.")
    practice: bool
    state: Literal["open", "finished", "ended"] = Field(
        description="Ended: its time was up before it was done."
    )
    answered: int
    sittings: int = Field(description="Answers in all: cases times repeats.")
    not_frozen: int = Field(description="Reads that no case had frozen.")
    plan: PlanView
    started_at: dt.datetime
    ends_at: dt.datetime
    finished_at: dt.datetime | None
    result: ResultView | None
    url: str


class RunOpened(Shape):
    """A run, and the key to sit it with. The key is shown this once."""

    run: RunView
    key: str
    resumed: bool = Field(description="Whether it was open already; its earlier key is void then.")
    how: list[str]


class CaseView(Shape):
    """The case whose turn it is: what started it. Everything else you read."""

    number: int
    of: int
    about: str
    words: str
    as_of: dt.datetime = Field(description="The case's now: nothing later is known in it.")
    reading: ReadingAnswer | None = Field(description="What it began with, where it began with a reading.")


class Took(Shape):
    """An answer was taken. Whether it was right is told when the run is finished, in counts."""

    number: int
    left: int
    url: str


class AnswerPosted(Shape):
    """A live answer is stored. Whether people found it right is not told: it may become a case."""

    ref: str
    tool: str
    readings: list[Ref]
