"""Is it well formed? Raw bytes in, a value and every fault at once out.

Stricter than Python's `json`: UTF-8 only, no duplicate names, no NaN or Infinity, no floats (decimals are text),
bounded size and depth, no lone surrogates, no control characters in text.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from console.errors import Refused
from integrations.contract import Finding, Level

M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 131_072
MAX_DEPTH = 12
MAX_INTEGER = 2**53 - 1
LONGEST_INTEGER = len("-9007199254740991")
SURROGATES = range(0xD800, 0xE000)


def parse(raw: bytes, most: int = MAX_BYTES) -> Any:
    """The JSON value of these bytes, `most` at most. Refused names the first fault of form, with its place."""
    if len(raw) > most:
        raise _refused("too_large", f"The body is {len(raw):,} bytes; at most {most:,} are read.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused("not_utf8", f"The body is not UTF-8 (byte {error.start}).") from None
    if _depth(text) > MAX_DEPTH:
        raise _refused("too_deep", f"The body is nested deeper than {MAX_DEPTH} levels.")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_float=_no_float,
            parse_int=_small_integer,
        )
    except json.JSONDecodeError as error:
        raise _refused(
            "not_json", f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise _refused("too_deep", f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    _check_text(value, "")
    return value


def model_findings(error: ValidationError, prefix: str = "") -> tuple[Finding, ...]:
    """Pydantic's faults as findings: field path and what would be right. Never repeats the input."""
    found = []
    for fault in error.errors(include_url=False, include_context=True, include_input=False):
        path = ".".join(str(part) for part in fault["loc"] if not str(part).startswith("function-"))
        path = ".".join(part for part in (prefix, path) if part)
        kind = fault["type"]
        text, hint = _in_words(kind, fault["msg"])
        found.append(Finding(f"shape.{kind}", Level.ERROR, text, field=path, hint=hint))
    return tuple(found)


def validated(model: type[M], text: str, prefix: str = "") -> M:
    """The model parsed from canonical JSON text; Refused with every fault at once."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise Refused(
            "it does not fit its schema", findings=model_findings(error, prefix), code="shape"
        ) from None


def _in_words(kind: str, message: str) -> tuple[str, str]:
    match kind:
        case "missing":
            return "This field is missing.", "Add it; the schema of the tool shows its form."
        case "extra_forbidden":
            return "There is no such field.", "Leave it out; unknown fields are refused, not ignored."
        case _:
            return f"{message.removeprefix('Value error, ')}.".replace(
                "..", "."
            ), "The schema of the tool shows its form."


def _refused(code: str, text: str) -> Refused:
    finding = Finding(
        f"shape.{code}", Level.ERROR, text, hint="Send one JSON object in UTF-8 as the schema shows it."
    )
    return Refused(text, findings=[finding], code=code)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _refused(
            "duplicate_name", f"The name {twice[:60]!r} stands twice in one object; which one holds?"
        )
    return found


def _no_constant(text: str) -> Any:
    raise _refused("not_a_number", f"{text} is not a number that JSON knows.")


def _no_float(text: str) -> Any:
    raise _refused(
        "float",
        f'The number {text[:30]} has a fraction or exponent; write decimals as text, such as "12.50".',
    )


def _small_integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER or abs(int(text)) > MAX_INTEGER:
        raise _refused(
            "huge_integer", f"The whole number {text[:30]} is larger than 2^53 - 1; write it as text."
        )
    return int(text)


def _depth(text: str) -> int:
    """The deepest nesting, counted before parsing so that no parser is asked to recurse without bound."""
    deepest = depth = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "}]":
            depth -= 1
    return deepest


def _check_text(value: Any, path: str) -> None:
    if isinstance(value, str):
        for character in value:
            if ord(character) in SURROGATES:
                raise _refused(
                    "surrogate", f"The text at {path or 'the top'} holds half a character (a lone surrogate)."
                )
            if unicodedata.category(character) == "Cc" and character not in "\n\t":
                raise _refused(
                    "control_character",
                    f"The text at {path or 'the top'} holds the control character U+{ord(character):04X}.",
                )
    elif isinstance(value, dict):
        for name, part in value.items():
            _check_text(name, path)
            _check_text(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            _check_text(part, f"{path}.{place}")
