"""The nouns. They hold fields, constraints and properties, and import nothing above them."""

from console.models.agent import Agent, AgentKey, AgentVersion, Autonomy, CallWindow, Grant
from console.models.assessment import Assessment, LatestSnapshot
from console.models.attempt import Attempt, AttemptNote, Outcome, ReadBack
from console.models.audit import AuditEntry, AuditLeaf, Checkpoint
from console.models.callback import Callback, Heard, Hearing
from console.models.confirmation import Confirmation, Done
from console.models.control import Incident, KillSwitch, LimitValue, Notice, Scope, Widening
from console.models.decision import Answer, Claim, Decision, Reason, SeededTest
from console.models.evaluation import (
    AcceptedCase,
    Confidence,
    EvalCase,
    EvalRun,
    EvalSuite,
    Gate,
    GateDecision,
    RunAnswer,
    RunReading,
    Split,
)
from console.models.exhibit import CertifiedScreen, Exhibit
from console.models.figures import Baseline, Decided, OverrideChart
from console.models.listening import Listening, Sample
from console.models.proposal import (
    FINAL,
    LIVE,
    PENDING,
    Cited,
    IdempotencyKey,
    Proposal,
    Reading,
    Revision,
    Risk,
    State,
)
from console.models.sampling import Sampled, SamplingRule
from console.models.shadow import Did, ShadowLook
from console.models.system import Connection, Probe, System
from console.models.watch import LogWatch, OrphanWrite

APPEND_ONLY = (
    "console_auditentry",
    "console_auditleaf",
    "console_checkpoint",
    "console_reading",
    "console_revision",
    "console_cited",
    "console_assessment",
    "console_decision",
    "console_attemptnote",
    "console_readback",
    "console_probe",
    "console_confirmation",
    "console_orphanwrite",
    "console_callback",
    "console_hearing",
    "console_exhibit",
    "console_certifiedscreen",
    "console_seededtest",
    "console_baseline",
    "console_shadowlook",
    "console_samplingrule",
    "console_sampled",
    "console_evalsuite",
    "console_evalcase",
    "console_acceptedcase",
    "console_runreading",
    "console_runanswer",
    "console_gatedecision",
)
"""Tables in which the application's database role may insert and read, and nothing else."""

__all__ = [
    "APPEND_ONLY",
    "FINAL",
    "LIVE",
    "PENDING",
    "AcceptedCase",
    "Agent",
    "AgentKey",
    "AgentVersion",
    "Answer",
    "Assessment",
    "Attempt",
    "AttemptNote",
    "AuditEntry",
    "AuditLeaf",
    "Autonomy",
    "Baseline",
    "CallWindow",
    "Callback",
    "CertifiedScreen",
    "Checkpoint",
    "Cited",
    "Claim",
    "Confidence",
    "Confirmation",
    "Connection",
    "Decided",
    "Decision",
    "Did",
    "Done",
    "EvalCase",
    "EvalRun",
    "EvalSuite",
    "Exhibit",
    "Gate",
    "GateDecision",
    "Grant",
    "Heard",
    "Hearing",
    "IdempotencyKey",
    "Incident",
    "KillSwitch",
    "LatestSnapshot",
    "LimitValue",
    "Listening",
    "LogWatch",
    "Notice",
    "OrphanWrite",
    "Outcome",
    "OverrideChart",
    "Probe",
    "Proposal",
    "ReadBack",
    "Reading",
    "Reason",
    "Revision",
    "Risk",
    "RunAnswer",
    "RunReading",
    "Sample",
    "Sampled",
    "SamplingRule",
    "Scope",
    "SeededTest",
    "ShadowLook",
    "Split",
    "State",
    "System",
    "Widening",
]
