"""OpenTelemetry traces, where a collector is configured; without one, nothing of OpenTelemetry is imported.

    OTEL_EXPORTER_OTLP_ENDPOINT   the collector, such as http://collector:4318 (OTLP over HTTP, protobuf), or
    OTEL_TRACES_EXPORTER=otlp     the same at its default address; none: no traces, whatever else is set
    OTEL_SERVICE_NAME             what this process is called there; "countersign" if left out
    OTEL_SDK_DISABLED=true        no traces
    OTEL_EXPORTER_OTLP_HEADERS    a secret, so OTEL_EXPORTER_OTLP_HEADERS_FILE works too

and what else the SDK reads (sampler, batch, timeout, certificates). The packages are the extra `traces`:
`requirements-traces.lock` on top of `requirements.lock`.

A proposal has one trace: the request that proposed it (and the caller's own trace, by its `traceparent`), everything
workers did with it, every call to a system, every decision. A bell carries nothing but an id, so the trace is named
on the proposal's row (`Proposal.traceparent`). What happened in another trace, as a supervisor's request is, is linked.

A span says which proposal, type, agent version, connection, attempt, and how it ended: ids and words of ours. It never
has a value of a payload or a record, a person's name, a system's words, an address as it was asked for, or a secret.

Traces are no audit: they may be sampled, dropped or lost, and a caller may name any trace as its own. That a caller
does not sample is not heeded, else it could hide its calls: OTEL_TRACES_SAMPLER decides, by the id of the trace.
`tracestate` and `baggage` are not read. Nothing is sent on to systems.

Spans are handed to a thread that sends them, in a queue that drops what it cannot hold: a collector that is away costs
a line in the log. Every process makes its own, when it has its first span: after a fork, never before.

The file is long because everything that knows OpenTelemetry stands in it, and nothing else does.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import multiprocessing.util
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console import environment
from console.errors import CountersignError
from integrations.contract import Accepted, AdapterError, ReadTool, Sought, Step, Trace, TransactionType

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanContext, Tracer

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Value = str | int | bool

SERVICE = "countersign"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
TIMEOUT = 3.0
"""Seconds for one batch unless the environment says otherwise: a process that ends waits for the last one."""

CALLS = frozenset(
    {"read", "snapshot", "ping", "describe", "plan", "rehearse", "commit", "find", "seek", "changes", "probe"}
)
"""The methods of an adapter that may speak to its system."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
UNSEEN = frozenset({"/live", "/ready", "/metrics"})
FAULT = 500
RANDOM = 0x02
"""The flag that says that the trace's id is random (W3C Trace Context, level 2); it is the caller's word, and kept."""
_REF = re.compile(r"CS-[0-9A-HJKMNP-TV-Z]{12}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

log = logging.getLogger(__name__)

_about: ContextVar[Mapping[str, Value]] = ContextVar("_about")
"""The ids of the step in hand, for the calls that it makes."""
_lock = threading.Lock()
_tracers: list[Tracer] = []
"""This process's own, once it is made,"""
_ends: list[multiprocessing.util.Finalize] = []
"""and how to let go of it."""


def check() -> None:
    """Return if what the environment says of traces can be done. ImproperlyConfigured says what is wrong."""
    if not on():
        return
    if (exporter := environment.text("OTEL_TRACES_EXPORTER", "otlp").lower()) not in {"", "otlp"}:
        raise ImproperlyConfigured(f"OTEL_TRACES_EXPORTER is {exporter!r}; say otlp or none.")
    protocol = _first(PROTOCOLS) or "http/protobuf"
    if protocol != "http/protobuf":
        raise ImproperlyConfigured(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; traces are sent as http/protobuf: say so, and name the "
            "collector's HTTP port, usually 4318."
        )
    at = urlsplit(_first(ENDPOINTS) or "http://localhost:4318")
    if at.scheme not in {"http", "https"} or not at.hostname or at.password:
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT is an address such as http://collector:4318, without a password: what the "
            "collector wants to see stands in OTEL_EXPORTER_OTLP_HEADERS_FILE."
        )
    _headers()
    try:
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError:
        missing = list(PACKAGES)
    if missing:
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER asks for traces, but their packages are not "
            "installed. Install them with `python3 console/management/bootstrap.py requirements-traces.lock` (or pip "
            "install --require-hashes -r requirements-traces.lock), or say OTEL_SDK_DISABLED=true."
        )


@functools.cache
def on() -> bool:
    """Whether this process makes traces. Nothing of OpenTelemetry is imported to know it."""
    if environment.text("OTEL_SDK_DISABLED").lower() == "true":
        return False
    exporter = environment.text("OTEL_TRACES_EXPORTER").lower()
    return exporter != "none" and bool(exporter or _first(ENDPOINTS))


class Requests:
    """Middleware: one span for every request, but for probes, figures and pages that refresh themselves.

    Its answer names it in `traceresponse`, in the form of a `traceparent`. An address stands in it as the route that
    it met, without what was filled in.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not on():
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer within a span."""
        if request.path in UNSEEN or _refreshes(request):
            return self.get_response(request)
        method = request.method if request.method in METHODS else "_OTHER"
        found = {"http.request.method": method, "url.scheme": request.scheme or "http"}
        name = method if method != "_OTHER" else "HTTP"
        with _span(name, "SERVER", found, parent=_from(request.headers.get("traceparent", ""))) as span:
            response = self.get_response(request)
            span.set_attribute("http.response.status_code", response.status_code)
            if (met := request.resolver_match) is not None:
                span.update_name(f"{name} /{met.route}")
                span.set_attributes({"http.route": f"/{met.route}", "url.path": f"/{met.route}"})
                if _REF.fullmatch(str(met.kwargs.get("ref", ""))):
                    span.set_attribute("countersign.proposal", met.kwargs["ref"])
            if response.status_code >= FAULT:
                _failed(span, str(response.status_code))
            response["traceresponse"] = carried()
            return response


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A verb that is a span of the proposal's trace: a function whose first argument is a proposal, or has one."""

    def made(verb: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(verb)
        def traced(*arguments: P.args, **named: P.kwargs) -> R:
            if not on():
                return verb(*arguments, **named)
            with _of(arguments[0], name, "INTERNAL") as span:
                done = verb(*arguments, **named)
                span.set_attributes(_ended(done))
                return done

        return traced

    return made


@contextlib.contextmanager
def heard(task: str, subject: Any) -> Iterator[None]:
    """A worker heard a bell and does what it asks for: `subject` is a proposal, or has one."""
    if not on():
        yield
        return
    with _of(subject, f"process {task}", "CONSUMER", _messaging("process")):
        yield


@contextlib.contextmanager
def rung(task: str) -> Iterator[None]:
    """A bell is rung, within a span that is worth telling of it; the bells of beat are not."""
    if not on() or not _here().is_valid:
        yield
        return
    with _span(f"send {task.rpartition('.')[2]}", "PRODUCER", _messaging("send")):
        yield


def tell(**ids: Value) -> None:
    """Say more of the span in hand: ids and words of ours, never what anybody sent."""
    if on():
        from opentelemetry import trace  # noqa: PLC0415 imported only where there is a collector

        trace.get_current_span().set_attributes({f"countersign.{name}": one for name, one in ids.items()})


def carried() -> str:
    """The span in hand as a `traceparent` (W3C Trace Context); "" where there is none."""
    if not on() or not (here := _here()).is_valid:
        return ""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def calls(live: T, *, connection: str, system: str, purpose: str) -> T:
    """A live adapter as it is, but every call to its system is a span: connection, system, operation, outcome."""
    if not on():
        return live
    told = {"countersign.connection": connection, "countersign.system": system, "peer.service": system}
    return cast("T", _Calls(live, told, purpose))


class _Calls:
    """What stands before a live adapter: it passes on every call, and tells how long it took and how it ended."""

    def __init__(self, live: Any, told: Mapping[str, Value], purpose: str) -> None:
        self._live, self._told, self._purpose = live, told, purpose

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._live, name)
        if name not in CALLS or not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            about = _asked(arguments[0] if arguments else None, self._purpose)
            told = {**_about.get({}), **self._told, **about, "countersign.operation": name}
            which = about.get("countersign.read_tool") or about.get("countersign.transaction_type")
            with _span(f"{name} {which}" if which else name, "CLIENT", told) as span:
                try:
                    answer = found(*arguments, **named)
                except AdapterError as error:
                    span.set_attribute("countersign.outcome", _words(type(error).__name__))
                    raise
                span.set_attribute("countersign.outcome", _outcome(answer))
                return answer

        return call

    def __repr__(self) -> str:
        return repr(self._live)


def _asked(what: Any, purpose: str) -> dict[str, Value]:
    """What a call is about: a tool, or a transaction type with the step of its plan."""
    if isinstance(what, ReadTool):
        return {"countersign.read_tool": what.name}
    if isinstance(what, TransactionType):
        return {"countersign.transaction_type": what.name}
    if isinstance(what, Sought):
        return {"countersign.transaction_type": what.type.name}
    if isinstance(what, Step):
        return {"countersign.transaction_type": purpose, "countersign.step": what.name}
    return {}


def _outcome(answer: Any) -> str:
    if isinstance(answer, Trace):
        return answer.seen.value
    return "accepted" if isinstance(answer, Accepted) else "answered"


def _words(name: str) -> str:
    """InDoubt -> in_doubt."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _refreshes(request: HttpRequest) -> bool:
    background = request.headers.get("X-Background") == "1" and request.method in {"GET", "HEAD"}
    return background and not request.path.startswith("/api/")


def _messaging(operation: str) -> dict[str, Value]:
    return {
        "messaging.system": "celery",
        "messaging.destination.name": SERVICE,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }


@contextlib.contextmanager
def _of(subject: Any, name: str, kind: str, attributes: Mapping[str, Value] | None = None) -> Iterator[Span]:
    """A span in the trace of the subject's proposal. Begun within another trace, it is linked with it."""
    from opentelemetry import trace  # noqa: PLC0415 as above
    from opentelemetry.context import Context  # noqa: PLC0415

    ids = _ids(subject)
    here, home = _here(), _read(_kept(_proposal(subject), "traceparent") or "")
    parent, links = None, []
    if home is not None and home.trace_id != here.trace_id:
        parent = trace.set_span_in_context(trace.NonRecordingSpan(home), Context())
        links = [trace.Link(here)] if here.is_valid else []
    token = _about.set(ids)
    try:
        with _span(name, kind, {**ids, **(attributes or {})}, parent=parent, links=links) as span:
            yield span
    finally:
        _about.reset(token)


@contextlib.contextmanager
def _span(
    name: str,
    kind: str,
    attributes: Mapping[str, Value],
    *,
    parent: Context | None = None,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """One span, current while it lasts. Of an exception it keeps the class, or our own code, never the words."""
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 as above

    with _tracer().start_as_current_span(
        name,
        context=parent,
        kind=SpanKind[kind],
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except CountersignError as refusal:
            span.set_attribute("countersign.refusal", refusal.code)
            raise
        except Exception as fault:
            _failed(span, type(fault).__name__)
            raise


def _failed(span: Span, kind: str) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 as above

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def _kept(row: Any, name: str) -> Any:
    """What a row has in hand under this name. Never asks the database: its transaction may be broken."""
    known = vars(row) if hasattr(row, "__dict__") else {}
    cache: Mapping[str, Any] = getattr(known.get("_state"), "fields_cache", {})
    return known.get(name, cache.get(name))


def _proposal(subject: Any) -> Any:
    return _kept(subject, "proposal") or subject


def _ids(subject: Any) -> dict[str, Value]:
    """What names a proposal, an attempt at one, or an agent version."""
    proposal = _proposal(subject)
    if _kept(proposal, "ref") is None:
        return _names({"agent_version": _kept(subject, "label"), "agent": _slug(subject)})
    version = _kept(proposal, "agent_version")
    return _names(
        {
            "proposal": _kept(proposal, "ref"),
            "transaction_type": _kept(proposal, "transaction_type"),
            "connection": _kept(_kept(proposal, "connection"), "name"),
            "agent_version": _kept(version, "label"),
            "agent": _slug(version),
            "attempt": _kept(subject, "number") or _kept(proposal, "attempts_made") or None,
        }
    )


def _slug(version: Any) -> Any:
    return _kept(_kept(version, "agent"), "slug")


def _names(found: Mapping[str, Any]) -> dict[str, Value]:
    return {f"countersign.{name}": one for name, one in found.items() if isinstance(one, (str, int))}


def _ended(done: Any) -> dict[str, Value]:
    """The ids and the state of what a verb returned, where it returned a proposal or an attempt."""
    proposal = _proposal(done)
    if _kept(proposal, "ref") is None or _kept(proposal, "state") is None:
        return {}
    return {**_ids(done), "countersign.state": str(_kept(proposal, "state"))}


def _here() -> SpanContext:
    from opentelemetry import trace  # noqa: PLC0415 as above

    return trace.get_current_span().get_span_context()


def _read(header: str) -> SpanContext | None:
    """A `traceparent` as a context; None where it is none."""
    from opentelemetry import trace  # noqa: PLC0415 as above
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    found = TraceContextTextMapPropagator().extract({"traceparent": header}, Context())
    told = trace.get_current_span(found).get_span_context()
    return told if told.is_valid else None


def _from(header: str) -> Context:
    """Where a request's span begins: in the caller's trace, sampled as we would sample it, or in one of its own."""
    from opentelemetry import trace  # noqa: PLC0415 as above
    from opentelemetry.context import Context  # noqa: PLC0415

    if (told := _read(header)) is None:
        return Context()
    sampled = _sampler().should_sample(Context(), told.trace_id, "").decision.is_sampled()
    flags = trace.TraceFlags((told.trace_flags & RANDOM) | (trace.TraceFlags.SAMPLED if sampled else 0))
    ours = trace.SpanContext(told.trace_id, told.span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(ours), Context())


def _sampler() -> Any:
    from opentelemetry.sdk.trace.sampling import DEFAULT_ON  # noqa: PLC0415 as above

    return getattr(_tracer(), "sampler", DEFAULT_ON)


def _tracer() -> Tracer:
    with _lock:
        if not _tracers:
            _tracers.append(_made())
        return _tracers[0]


def _made() -> Tracer:
    """This process's own way to the collector. Where it cannot be made, the log says why, and nothing is traced."""
    from opentelemetry import trace  # noqa: PLC0415 as above

    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": SERVICE}))
        timeout = None if _first(TIMEOUTS) else TIMEOUT
        exporter = OTLPSpanExporter(headers=_headers(), timeout=timeout)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except Exception as fault:  # noqa: BLE001 traces never stop the work
        log.error("nothing is traced: %s, see OTEL_*", type(fault).__name__)  # noqa: TRY400 its words may have a secret
        return trace.NoOpTracer()
    # At the end of a web server's child too, which skips atexit.
    _ends.append(multiprocessing.util.Finalize(None, provider.shutdown, exitpriority=0))
    return provider.get_tracer(SERVICE)


def stop() -> None:
    """Send what waits, and let go of the way to the collector; the next span makes another."""
    with _lock:
        while _ends:
            _ends.pop()()
        _tracers.clear()


def _forget() -> None:
    """In a child: what the parent has made is the parent's."""
    global _lock  # noqa: PLW0603 another thread of the parent may have held it
    _lock = threading.Lock()
    _tracers.clear()
    _ends.clear()


os.register_at_fork(after_in_child=_forget)


def _first(names: Sequence[str]) -> str:
    return next((found for name in names if (found := environment.text(name))), "")


def _headers() -> dict[str, str]:
    """What is sent to the collector with every batch: `name=value`, comma separated, values as in an address."""
    found = {}
    for place, one in enumerate(filter(str.strip, _first(HEADERS).split(",")), 1):
        name, given, value = one.partition("=")
        if not given or not _TOKEN.fullmatch(name.strip()):
            raise ImproperlyConfigured(
                f"OTEL_EXPORTER_OTLP_HEADERS is name=value, comma separated; its {place}. part is not."
            )
        found[name.strip().lower()] = unquote(value.strip())
    return found
