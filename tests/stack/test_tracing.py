"""Traces: what is configured, whose trace a request is in, and that nothing is imported where nobody asks for them."""

from __future__ import annotations

import gc
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory

from console import tracing
from console.environment import ROOT
from tests.journeys.house import WAIT_SECONDS, free_port
from tests.rigs.collector import Collector

SAMPLED = 1
ASKED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
THEIRS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
EVERY_DOOR = """
import sys
sys.modules["opentelemetry"] = None
import django
django.setup()
import console.wsgi, console.tasks, console.web.urls, console.api.urls
print("open")
"""
"""Whoever imports it fails; the client of Redis tries, and does without."""


def as_told(monkeypatch: pytest.MonkeyPatch, **told: str) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    tracing.on.cache_clear()


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    tracing.on.cache_clear()


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that this process sends its spans to, all of them when the test ends."""
    made = Collector(free_port())
    made.open()
    as_told(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{made.port}")
    yield made
    tracing.stop()
    # A processor that is left starts a thread in every child, and one with threads can enter no user namespace.
    gc.collect()
    made.close()


@pytest.mark.parametrize(
    ("told", "on"),
    [
        ({}, False),
        (ASKED, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ASKED, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ASKED, "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_SERVICE_NAME": "countersign", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"}, False),
    ],
)
def test_traces_are_made_where_a_collector_is_named(
    told: dict[str, str], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_told(monkeypatch, **told)
    assert tracing.on() is on
    tracing.check()


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; say otlp or none"),
        ({**ASKED, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "'grpc'; traces are sent as http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "an address such as http://collector:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:do-not-tell@collector"}, "without a password"),
        ({**ASKED, "OTEL_EXPORTER_OTLP_HEADERS": "Bearer do-not-tell"}, "its 1. part is not"),
        ({**ASKED, "OTEL_EXPORTER_OTLP_HEADERS": "a=b,do not=tell"}, "its 2. part is not"),
        ({**ASKED, "OTEL_EXPORTER_OTLP_HEADERS_FILE": "/nowhere"}, "OTEL_EXPORTER_OTLP_HEADERS_FILE"),
    ],
)
def test_what_cannot_be_done_is_refused_at_the_start(
    told: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_told(monkeypatch, **told)
    with pytest.raises(ImproperlyConfigured) as refused:
        tracing.check()
    assert named in str(refused.value)
    assert "do-not-tell" not in str(refused.value)


def start(**told: str) -> subprocess.CompletedProcess[str]:
    """Every door in a process of its own, as where OpenTelemetry is not installed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", EVERY_DOOR],
        cwd=ROOT,
        env={**plain, **told, "DJANGO_SETTINGS_MODULE": "console.settings"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_without_a_collector_a_start_imports_nothing_of_opentelemetry() -> None:
    done = start()
    assert (done.returncode, done.stdout) == (0, "open\n"), done.stderr


def test_a_missing_package_is_named_with_how_to_install_it() -> None:
    done = start(**ASKED)
    assert done.returncode == 1
    assert re.search(r"ImproperlyConfigured: OTEL_.*bootstrap\.py requirements-traces\.lock", done.stderr)


def answer_to(header: str) -> str:
    """The `traceresponse` of a request with this `traceparent`."""
    asked = RequestFactory().get("/api/v1/tools", headers={"traceparent": header} if header else {})
    told: str = tracing.Requests(lambda _: HttpResponse())(asked)["traceresponse"]
    return told


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        f"{THEIRS}01-more",
        f"{THEIRS}01,{THEIRS}01",
        "x" * 600,
    ],
)
@pytest.mark.usefixtures("collected")
def test_what_is_no_traceparent_begins_a_trace_of_its_own(header: str) -> None:
    version, trace, span, flags = answer_to(header).split("-")
    assert (version, len(trace), len(span), int(flags, 16) & SAMPLED) == ("00", 32, 16, SAMPLED)
    assert trace not in {"0" * 32, THEIRS.split("-")[1]}


@pytest.mark.parametrize(
    ("sampler", "share", "ours"),
    [
        ("parentbased_always_on", "", "01"),
        ("parentbased_always_off", "", "00"),
        # The id's last half is high: of every thousandth trace it is none, of nine in ten it is one.
        ("parentbased_traceidratio", "0.001", "00"),
        ("traceidratio", "0.9", "01"),
    ],
)
@pytest.mark.parametrize("theirs", ["00", "01"])
@pytest.mark.usefixtures("collected")
def test_a_caller_names_the_trace_and_the_console_whether_it_is_sampled(
    theirs: str, sampler: str, share: str, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    _, trace, span, flags = answer_to(THEIRS + theirs).split("-")
    assert (trace, flags) == (THEIRS.split("-")[1], ours)
    assert span != THEIRS.split("-")[2]


def test_a_service_is_called_what_its_operator_calls_it(
    collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_to(f"{THEIRS}01")
    tracing.stop()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "countersign-hamar")
    answer_to(f"{THEIRS}01")
    tracing.stop()
    assert [span.service for span in collected.spans()] == ["countersign", "countersign-hamar"]


def test_a_collector_that_never_answers_holds_up_neither_work_nor_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        as_told(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert answer_to(f"{THEIRS}01").startswith(THEIRS[:36])
        end = threading.Thread(target=tracing.stop)
        end.start()
        end.join(WAIT_SECONDS)
        assert not end.is_alive(), "a process that ends waits for it"
    assert "Failed to export" in caplog.text
    gc.collect()


def pins(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+(?:\[[a-z,]+\])?==\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_what_an_operator_adds_for_traces_is_what_the_tests_run_with_and_no_other_needs_it() -> None:
    added, tested, always = map(
        pins, ("requirements-traces.lock", "requirements-dev.lock", "requirements.lock")
    )
    assert {one.partition("==")[0] for one in added} >= {
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
    }
    assert added <= tested
    assert not any("opentelemetry" in one for one in always)


def test_a_collector_that_cannot_be_spoken_to_stops_no_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    as_told(monkeypatch, **ASKED)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert answer_to(f"{THEIRS}01") == f"{THEIRS}01"
    assert "nothing is traced: ModuleNotFoundError" in caplog.text
    tracing._tracers.clear()
