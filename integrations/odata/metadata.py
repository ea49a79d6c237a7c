"""What a service's `$metadata` says: sets, keys, types, lengths, what may be written, what takes an ETag.

Reads CSDL 2 and 3 (OData V2: `sap:` attributes, `ConcurrencyMode`) and CSDL 4 (OData V4: annotations, inside the type
or outside of it, by namespace or by alias). Only what is declared is known: a facet that is not there is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

V2, V4 = 2, 4


@dataclass(frozen=True)
class Property:
    """One property, or one parameter of an operation. `type` is as written, such as `Edm.Decimal`.

    `date_only`: a V2 `Edm.DateTime` that is a day (`sap:display-format="Date"`). `enumeration`: its values are names.
    """

    name: str
    type: str
    nullable: bool = True
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    date_only: bool = False
    enumeration: bool = False
    creatable: bool = True
    updatable: bool = True


@dataclass(frozen=True)
class Navigation:
    """A way to other entities: the type it leads to, and whether to many."""

    name: str
    target: str
    many: bool


@dataclass(frozen=True)
class EntityType:
    """What an entity is made of. `keys` are in the order of the metadata."""

    name: str
    keys: tuple[str, ...]
    properties: Mapping[str, Property]
    navigations: Mapping[str, Navigation]


@dataclass(frozen=True)
class EntitySet:
    """A set that can be asked. `etag`: declared to take one; a set that is not may have one all the same."""

    name: str
    type: EntityType
    etag: bool = False
    creatable: bool = True
    updatable: bool = True


@dataclass(frozen=True)
class Operation:
    """A function import (V2), or an action or function (V4). `bound` ones are called on an entity, by `path`."""

    name: str
    path: str
    method: str
    parameters: Mapping[str, Property]
    bound: bool = False


@dataclass(frozen=True)
class Model:
    """One service. `version` is 2 or 4; `types` are by qualified name."""

    version: int
    sets: Mapping[str, EntitySet]
    operations: Mapping[str, Operation]
    types: Mapping[str, EntityType] = field(repr=False, default_factory=dict)


def parse(document: bytes) -> Model:
    """The model of a `$metadata` document. ValueError when it is none."""
    try:
        root = fromstring(document)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ValueError(f"$metadata is no XML that can be read ({type(error).__name__})") from None
    if _name(root) != "Edmx":
        raise ValueError(f"$metadata begins with {_name(root)!r}, not with Edmx")
    return _Reader(root).model()


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element if _name(child) in names)


def _sap(element: Element, name: str) -> str | None:
    return element.get(f"{{http://www.sap.com/Protocols/SAPData}}{name}")


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


class _Reader:
    """One document on its way to a model."""

    def __init__(self, root: Element) -> None:
        self.version = 4 if root.get("Version", "").startswith("4") else 2
        self.schemas = [e for e in root.iter() if _name(e) == "Schema"]
        self.aliases = {e.get("Alias", ""): e.get("Namespace", "") for e in self.schemas if e.get("Alias")}
        for include in (e for e in root.iter() if _name(e) == "Include"):
            self.aliases[include.get("Alias", "")] = include.get("Namespace", "")
        self.annotations = self._annotations()
        self.raw = {
            f"{schema.get('Namespace')}.{element.get('Name')}": element
            for schema in self.schemas
            for element in _children(schema, "EntityType")
        }
        self.ends = {
            f"{schema.get('Namespace')}.{element.get('Name')}": {
                end.get("Role", ""): (self.full(end.get("Type", "")), end.get("Multiplicity") == "*")
                for end in _children(element, "End")
            }
            for schema in self.schemas
            for element in _children(schema, "Association")
        }
        self.named = {
            f"{schema.get('Namespace')}.{element.get('Name')}": element
            for schema in self.schemas
            for element in _children(schema, "TypeDefinition", "EnumType")
        }
        self.types = {name: self._type(name, element) for name, element in self.raw.items()}

    def full(self, name: str) -> str:
        """A name with its namespace, also when it was written with an alias."""
        space, _, last = name.rpartition(".")
        return f"{self.aliases.get(space, space)}.{last}"

    def model(self) -> Model:
        """What the containers offer."""
        sets: dict[str, EntitySet] = {}
        operations: dict[str, Operation] = {}
        for schema in self.schemas:
            for element in _children(schema, "Action", "Function"):
                operation = self._operation4(schema, element)
                operations.setdefault(operation.name, operation)
        for schema in self.schemas:
            for container in _children(schema, "EntityContainer"):
                owner = f"{schema.get('Namespace')}.{container.get('Name')}"
                for element in _children(container, "EntitySet", "Singleton"):
                    kind = self.types.get(self.full(element.get("EntityType") or element.get("Type") or ""))
                    if kind is not None:
                        found = self._set(owner, element, kind)
                        sets[found.name] = found
                for element in _children(container, "ActionImport", "FunctionImport"):
                    defined = self.full(element.get("Action") or element.get("Function") or "")
                    if (meant := operations.get(defined.rpartition(".")[2])) is not None:
                        operations[element.get("Name", "")] = replace(meant, path=element.get("Name", ""))
                for element in _children(container, "FunctionImport") if self.version == V2 else ():
                    operation = self._operation2(element)
                    operations[operation.name] = operation
        return Model(self.version, sets, operations, self.types)

    def _annotations(self) -> dict[tuple[str, str], Element]:
        """By target and term, the term without its vocabulary: `Computed`, `UpdateRestrictions`."""
        found: dict[tuple[str, str], Element] = {}
        for schema in self.schemas:
            for block in _children(schema, "Annotations"):
                target, _, path = block.get("Target", "").partition("/")
                named = self.full(target) + (f"/{path}" if path else "")
                for element in _children(block, "Annotation"):
                    found[named, element.get("Term", "").rpartition(".")[2]] = element
        return found

    def _says(self, element: Element, target: str, term: str) -> Element | None:
        inside = (e for e in _children(element, "Annotation"))
        found = next((e for e in inside if e.get("Term", "").rpartition(".")[2] == term), None)
        return found if found is not None else self.annotations.get((target, term))

    def _is(self, element: Element, target: str, term: str) -> bool:
        said = self._says(element, target, term)
        return said is not None and said.get("Bool", "true") == "true"

    def _type(self, name: str, element: Element) -> EntityType:
        line = list(self._ancestry(element))
        properties = {
            p.get("Name", ""): self._property(p, f"{name}/{p.get('Name')}")
            for one in line
            for p in _children(one, "Property")
        }
        navigations = {
            n.get("Name", ""): self._navigation(n)
            for one in line
            for n in _children(one, "NavigationProperty")
        }
        keys = [
            ref.get("Name", "")
            for one in line
            for key in _children(one, "Key")
            for ref in _children(key, "PropertyRef")
        ]
        return EntityType(name, tuple(keys), properties, navigations)

    def _ancestry(self, element: Element) -> Iterable[Element]:
        line, base = [element], element.get("BaseType")
        while base and (parent := self.raw.get(self.full(base))) is not None and parent not in line:
            line.insert(0, parent)
            base = parent.get("BaseType")
        return line

    def _property(self, element: Element, target: str = "") -> Property:
        computed = self._is(element, target, "Computed")
        return Property(
            name=element.get("Name", ""),
            type=self._base(element.get("Type", "")),
            enumeration=self._is_enumeration(element.get("Type", "")),
            nullable=element.get("Nullable", "true") != "false",
            max_length=_whole(element.get("MaxLength")),
            precision=_whole(element.get("Precision")),
            scale=_whole(element.get("Scale")),
            date_only=_sap(element, "display-format") == "Date",
            creatable=_sap(element, "creatable") != "false" and not computed,
            updatable=_sap(element, "updatable") != "false"
            and not computed
            and not self._is(element, target, "Immutable"),
        )

    def _base(self, written: str) -> str:
        """A type by its full name; one that only gives another a name, by that other."""
        if written.startswith(("Edm.", "Collection(")):
            return written
        name = self.full(written)
        found = self.named.get(name)
        return found.get("UnderlyingType", name) if found is not None and _name(found) != "EnumType" else name

    def _is_enumeration(self, written: str) -> bool:
        found = self.named.get(self.full(written))
        return found is not None and _name(found) == "EnumType"

    def _navigation(self, element: Element) -> Navigation:
        name, written = element.get("Name", ""), element.get("Type")
        if written is not None:
            many = written.startswith("Collection(")
            return Navigation(name, self.full(written.removeprefix("Collection(").removesuffix(")")), many)
        ends = self.ends.get(self.full(element.get("Relationship", "")), {})
        target, many = ends.get(element.get("ToRole", ""), ("", False))
        return Navigation(name, target, many)

    def _set(self, owner: str, element: Element, kind: EntityType) -> EntitySet:
        name = element.get("Name", "")
        target = f"{owner}/{name}"
        fixed = any(
            p.get("ConcurrencyMode") == "Fixed"
            for one in self._ancestry(self.raw[kind.name])
            for p in _children(one, "Property")
        )
        updates = self._says(element, target, "UpdateRestrictions")
        inserts = self._says(element, target, "InsertRestrictions")
        closed = {"updatable": _paths(updates, "NonUpdatableProperties")}
        closed["creatable"] = _paths(inserts, "NonInsertableProperties")
        if any(closed.values()):
            kind = EntityType(kind.name, kind.keys, _closed(kind.properties, closed), kind.navigations)
        return EntitySet(
            name,
            kind,
            etag=fixed or self._says(element, target, "OptimisticConcurrency") is not None,
            creatable=_sap(element, "creatable") != "false" and not _says_no(inserts, "Insertable"),
            updatable=_sap(element, "updatable") != "false" and not _says_no(updates, "Updatable"),
        )

    def _operation2(self, element: Element) -> Operation:
        method = next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == "HttpMethod"), "GET")
        name = element.get("Name", "")
        parameters = {p.get("Name", ""): self._property(p) for p in _children(element, "Parameter")}
        return Operation(name, name, method, parameters)

    def _operation4(self, schema: Element, element: Element) -> Operation:
        name, bound = element.get("Name", ""), element.get("IsBound") == "true"
        given = list(_children(element, "Parameter"))[1 if bound else 0 :]
        return Operation(
            name,
            f"{schema.get('Namespace')}.{name}",
            "POST" if _name(element) == "Action" else "GET",
            {p.get("Name", ""): self._property(p) for p in given},
            bound,
        )


def _says_no(restrictions: Element | None, name: str) -> bool:
    if restrictions is None:
        return False
    return any(
        value.get("Property") == name and value.get("Bool") == "false"
        for value in restrictions.iter()
        if _name(value) == "PropertyValue"
    )


def _paths(restrictions: Element | None, name: str) -> set[str]:
    if restrictions is None:
        return set()
    return {
        (path.text or "").strip()
        for value in restrictions.iter()
        if _name(value) == "PropertyValue" and value.get("Property") == name
        for path in value.iter()
        if _name(path) == "PropertyPath"
    }


def _closed(properties: Mapping[str, Property], closed: Mapping[str, set[str]]) -> dict[str, Property]:
    return {
        name: Property(
            **{
                **vars(one),
                "creatable": one.creatable and name not in closed["creatable"],
                "updatable": one.updatable and name not in closed["updatable"],
            }
        )
        for name, one in properties.items()
    }
