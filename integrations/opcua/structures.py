"""The structures of OPC 10031-4 (ISA-95 job control, version 2.0.0), section 7.3, as asyncua decodes them.

They are written down here, not loaded from the server: what a server calls a structure is no code of ours, and two
servers that number their namespaces differently would share one table in the library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

# ruff: noqa: UP045 the names are the standard's, and the library reads Optional from the annotations


@dataclass
class Detail:
    """ISA95ParameterDataType and ISA95PropertyDataType, which have one shape."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=True, compare=False)
    ID: ua.String = ""
    Value: ua.Variant = field(default_factory=ua.Variant)
    Description: Optional[list[ua.LocalizedText]] = None
    EngineeringUnits: Optional[ua.EUInformation] = None
    Details: Optional[list[Detail]] = None


@dataclass
class WorkMaster:
    """ISA95WorkMasterDataType."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=True, compare=False)
    ID: ua.String = ""
    Description: Optional[ua.LocalizedText] = None
    Parameters: Optional[list[Detail]] = None


@dataclass
class Resource:
    """ISA95PersonnelDataType, ISA95EquipmentDataType and ISA95PhysicalAssetDataType, which have one shape."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=True, compare=False)
    ID: ua.String = ""
    Description: Optional[list[ua.LocalizedText]] = None
    Use: Optional[ua.String] = None
    Quantity: Optional[ua.String] = None
    EngineeringUnits: Optional[ua.EUInformation] = None
    Properties: Optional[list[Detail]] = None


@dataclass
class Material:
    """ISA95MaterialDataType. `Quantity` is a DecimalString: a decimal in text."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=True, compare=False)
    MaterialClassID: Optional[ua.String] = None
    MaterialDefinitionID: Optional[ua.String] = None
    MaterialLotID: Optional[ua.String] = None
    MaterialSublotID: Optional[ua.String] = None
    Description: Optional[list[ua.LocalizedText]] = None
    MaterialUse: Optional[ua.String] = None
    Quantity: Optional[ua.String] = None
    EngineeringUnits: Optional[ua.EUInformation] = None
    Properties: Optional[list[Detail]] = None


@dataclass
class State:
    """ISA95StateDataType: the first of a list is the top-level state, those after it are substates."""

    BrowsePath: ua.RelativePath = field(default_factory=ua.RelativePath)
    StateText: ua.LocalizedText = field(default_factory=ua.LocalizedText)
    StateNumber: ua.UInt32 = 0


@dataclass
class JobOrder:
    """ISA95JobOrderDataType."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=True, compare=False)
    JobOrderID: ua.String = ""
    Description: Optional[list[ua.LocalizedText]] = None
    WorkMasterID: Optional[list[WorkMaster]] = None
    StartTime: Optional[ua.DateTime] = None
    EndTime: Optional[ua.DateTime] = None
    Priority: Optional[ua.Int16] = None
    JobOrderParameters: Optional[list[Detail]] = None
    PersonnelRequirements: Optional[list[Resource]] = None
    EquipmentRequirements: Optional[list[Resource]] = None
    PhysicalAssetRequirements: Optional[list[Resource]] = None
    MaterialRequirements: Optional[list[Material]] = None


@dataclass
class JobOrderAndState:
    """ISA95JobOrderAndStateDataType: one line of JobOrderList."""

    JobOrder: JobOrder = field(default_factory=JobOrder)
    State: list[State] = field(default_factory=list)


@dataclass
class JobResponse:
    """ISA95JobResponseDataType: one line of JobOrderResponseList."""

    Encoding: ua.UInt32 = field(default=0, repr=False, init=True, compare=False)
    JobResponseID: ua.String = ""
    Description: Optional[ua.LocalizedText] = None
    JobOrderID: ua.String = ""
    StartTime: Optional[ua.DateTime] = None
    EndTime: Optional[ua.DateTime] = None
    JobState: list[State] = field(default_factory=list)
    JobResponseData: Optional[list[Detail]] = None
    PersonnelActuals: Optional[list[Resource]] = None
    EquipmentActuals: Optional[list[Resource]] = None
    PhysicalAssetActuals: Optional[list[Resource]] = None
    MaterialActuals: Optional[list[Material]] = None


BINARY = {5032: JobOrderAndState, 5026: JobResponse}
"""Numeric node id of the structure's binary encoding in the nodeset, to the structure."""


def decoded(value: Any, namespace: int) -> JobOrderAndState | JobResponse:
    """A structure from an extension object that the library left undecoded. ValueError names what is wrong."""
    if not isinstance(value, ua.ExtensionObject) or value.Body is None:
        raise ValueError(f"a {type(value).__name__} stands where a structure of OPC 10031-4 belongs")
    kind = BINARY.get(value.TypeId.Identifier) if value.TypeId.NamespaceIndex == namespace else None
    if kind is None:
        raise ValueError(f"the structure {value.TypeId.to_string()} is none of OPC 10031-4 version 2")
    body = Buffer(value.Body)
    try:
        found: JobOrderAndState | JobResponse = struct_from_binary(kind, body)
    except Exception as error:  # noqa: BLE001 whatever is wrong with foreign bytes, they are not used
        raise ValueError(f"a {kind.__name__} cannot be decoded ({type(error).__name__})") from None
    if len(body):
        raise ValueError(f"a {kind.__name__} has {len(body)} bytes too many")
    return found
