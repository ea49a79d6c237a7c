"""The wire form of a Sparkplug B payload (Sparkplug 3.0.0, section 6.4.1): the fields a reader needs.

The field numbers are the specification's; the message is described here, so that nobody else's file is needed. What
is not described (data sets, templates, meta data) is skipped by protobuf.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

COMPRESSED = "SPBV1.0_COMPRESSED"
MOST_BYTES = 1_000_000
GOOD = 192
"""Value of the property "Quality" that means good; 0 is bad, 500 is stale (section 6.4.14)."""

_BITS = {1: 8, 2: 16, 3: 32}
_INT64, _UINT64, _FLOAT, _DOUBLE, _BOOLEAN, _DATE_TIME = 4, 8, 9, 10, 11, 13
_TEXTS = {12, 14, 15}
_UNSIGNED = {5, 6, 7}

_KINDS = descriptor_pb2.FieldDescriptorProto
_PROPERTY_VALUE = {
    "type": (1, _KINDS.TYPE_UINT32),
    "is_null": (2, _KINDS.TYPE_BOOL),
    "int_value": (3, _KINDS.TYPE_UINT32),
    "long_value": (4, _KINDS.TYPE_UINT64),
}
_METRIC = {
    "name": (1, _KINDS.TYPE_STRING),
    "alias": (2, _KINDS.TYPE_UINT64),
    "timestamp": (3, _KINDS.TYPE_UINT64),
    "datatype": (4, _KINDS.TYPE_UINT32),
    "is_historical": (5, _KINDS.TYPE_BOOL),
    "is_null": (7, _KINDS.TYPE_BOOL),
    "int_value": (10, _KINDS.TYPE_UINT32),
    "long_value": (11, _KINDS.TYPE_UINT64),
    "float_value": (12, _KINDS.TYPE_FLOAT),
    "double_value": (13, _KINDS.TYPE_DOUBLE),
    "boolean_value": (14, _KINDS.TYPE_BOOL),
    "string_value": (15, _KINDS.TYPE_STRING),
}
_PAYLOAD = {
    "timestamp": (1, _KINDS.TYPE_UINT64),
    "seq": (3, _KINDS.TYPE_UINT64),
    "uuid": (4, _KINDS.TYPE_STRING),
}


@dataclass(frozen=True)
class Metric:
    """One metric. `name` is empty where only the alias was sent; `value` is None for null; a float is a Decimal."""

    name: str
    alias: int | None
    value: Any
    datatype: int
    at: dt.datetime | None
    historical: bool
    quality: int


@dataclass(frozen=True)
class Payload:
    """One message. `seq` is None for NDEATH."""

    at: dt.datetime | None
    seq: int | None
    metrics: tuple[Metric, ...]


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="sparkplug_b_read.proto", package="sparkplug", syntax="proto2"
    )

    def message(name: str, fields: Mapping[str, tuple[int, Any]]) -> Any:
        made = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            made.field.add(name=field, number=number, type=kind, label=_KINDS.LABEL_OPTIONAL)
        return made

    def nested(made: Any, field: str, number: int, of: str, *, many: bool) -> None:
        label = _KINDS.LABEL_REPEATED if many else _KINDS.LABEL_OPTIONAL
        made.field.add(
            name=field, number=number, type=_KINDS.TYPE_MESSAGE, type_name=f".sparkplug.{of}", label=label
        )

    message("PropertyValue", _PROPERTY_VALUE)
    properties = message("PropertySet", {})
    properties.field.add(name="keys", number=1, type=_KINDS.TYPE_STRING, label=_KINDS.LABEL_REPEATED)
    nested(properties, "values", 2, "PropertyValue", many=True)
    nested(message("Metric", _METRIC), "properties", 9, "PropertySet", many=False)
    nested(message("Payload", _PAYLOAD), "metrics", 2, "Metric", many=True)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparkplug.Payload"))


_Payload = _payload_class()


def decoded(raw: bytes) -> Payload:
    """The message of these bytes. ValueError says in words what is wrong with them."""
    if len(raw) > MOST_BYTES:
        raise ValueError(f"it has {len(raw):,} bytes; at most {MOST_BYTES:,} are read")
    try:
        found = _Payload.FromString(raw)
    except DecodeError:
        raise ValueError("it is no Sparkplug B payload (protobuf cannot decode it)") from None
    if found.uuid == COMPRESSED:
        raise ValueError("it is compressed; switch compression off at the edge node")
    return Payload(
        at=_time(found.timestamp) if found.HasField("timestamp") else None,
        seq=int(found.seq) if found.HasField("seq") else None,
        metrics=tuple(_metric(one) for one in found.metrics),
    )


def value_of(metric: Any, datatype: int) -> Any:
    """The value as its data type says: whole number, Decimal, True or False, text, or None."""
    if metric.is_null:
        return None
    if datatype in _BITS:
        bits = _BITS[datatype]
        raw = metric.int_value & ((1 << bits) - 1)
        return raw - (1 << bits) if raw >> (bits - 1) else raw
    if datatype in _UNSIGNED:
        # Some encoders put an unsigned 32 into the long field, as protobuf's own JavaScript does.
        return int(metric.int_value or metric.long_value)
    if datatype in {_INT64, _UINT64, _DATE_TIME}:
        raw = int(metric.long_value)
        return raw - (1 << 64) if datatype == _INT64 and raw >> 63 else raw
    if datatype in {_FLOAT, _DOUBLE}:
        return Decimal(repr(metric.float_value if datatype == _FLOAT else metric.double_value))
    if datatype == _BOOLEAN:
        return bool(metric.boolean_value)
    return str(metric.string_value) if datatype in _TEXTS else None


def _metric(found: Any) -> Metric:
    quality = GOOD
    for key, value in zip(found.properties.keys, found.properties.values, strict=False):
        if key.lower() == "quality":
            quality = int(value.int_value)
    datatype = int(found.datatype)
    return Metric(
        name=str(found.name),
        alias=int(found.alias) if found.HasField("alias") else None,
        value=value_of(found, datatype) if datatype else _untyped(found),
        datatype=datatype,
        at=_time(found.timestamp) if found.HasField("timestamp") else None,
        historical=bool(found.is_historical),
        quality=quality,
    )


def _untyped(found: Any) -> Any:
    """A value whose type only the birth told: the wire form, to be read with that type by `typed`."""
    return found


def typed(metric: Metric, datatype: int) -> Any:
    """The value of a metric whose type its birth told."""
    return metric.value if metric.datatype else value_of(metric.value, datatype)


def _time(milliseconds: int) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
