"""A service of OData V2 or V4, by its `$metadata`: read, page, change, create, call, and change several at once.

Values are plain JSON on this side and checked against the declared types before anything is sent (see `values`).
A change carries the ETag that the caller read; this client never reads one itself to get a write through, and never
sends `*`. PATCH is V4's verb of change and MERGE V2's; a V2 service that does not know MERGE says so (405 or 501,
nothing was done) and gets PATCH.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from integrations.contract import InDoubt, Rejected, Unavailable, Unsupported
from integrations.odata import batch, metadata, values
from integrations.odata.answers import (
    NO_METHOD,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    Answer,
    content,
    messages,
    refusal,
    unclear,
)
from integrations.odata.host import Http
from integrations.odata.metadata import V2, V4
from integrations.odata.shapes import Change, Condition, Entity, Plain, Rows, Written

MOST_PAGES = 100


class Service:
    """One service at `root`, a path such as `/odata/orders`; `refused` operations are never called."""

    def __init__(self, http: Http, root: str, *, refused: frozenset[str] = frozenset()) -> None:
        self.http, self.root, self.refused = http, f"/{root.strip('/')}".rstrip("/"), refused
        self._model: metadata.Model | None = None
        self._merge = "MERGE"
        self._lock = threading.Lock()

    @property
    def model(self) -> metadata.Model:
        """What the service declares; read once."""
        with self._lock:
            if self._model is None:
                what = f"read {self.root}/$metadata"
                answer = self.http.read(f"{self.root}/$metadata", what, {"Accept": "application/xml"})
                if answer.status == NOT_FOUND:
                    raise Unavailable(f"There is no service at {self.root}.")
                if answer.is_page:
                    content(answer, what, writes=False)
                try:
                    self._model = metadata.parse(answer.body)
                except ValueError as error:
                    raise Unavailable(f"{self.root}: {error}.") from None
            return self._model

    def entity_set(self, name: str) -> metadata.EntitySet:
        """A set by its name. Unsupported when the service declares none such."""
        if name not in self.model.sets:
            raise Unsupported(f"The service {self.root} declares no set {name!r}.")
        return self.model.sets[name]

    # Reading

    def one(self, set_: str, key: Plain, *, expand: Sequence[str] = ()) -> Entity | None:
        """One entity by its key, None when there is none. `expand`: navigations, nested ones as `a/b`."""
        kind = self.entity_set(set_).type
        answer = self._read(self._at(set_, key) + self._query(expand=expand), f"read {set_}")
        if answer.status == NOT_FOUND:
            return None
        found = content(answer, f"read {set_}", writes=False)
        body = found.get("d") if self.model.version == V2 and isinstance(found, Mapping) else found
        # None is also said by an empty answer, and by some servers by an empty list.
        if found is None or (isinstance(body, Mapping) and body.get("value") == []):
            return None
        if not isinstance(body, Mapping) or not set(kind.keys) <= set(body):
            raise unclear(f"What came back for {set_} is not one of it.", writes=False)
        return self._entity(set_, kind, body, answer.headers.get("etag", ""))

    def rows(
        self,
        set_: str,
        where: Iterable[Condition] = (),
        *,
        expand: Sequence[str] = (),
        order: str = "",
        most: int = 1000,
    ) -> Rows:
        """Entities that meet every condition, over all pages, at most so many. Pages stay on our host."""
        kind = self.entity_set(set_).type
        here = f"{self.root}/{set_}"
        target = here + self._query(where=self._filter(kind, where), expand=expand, order=order, top=most + 1)
        found: list[Entity] = []
        for _ in range(MOST_PAGES):
            answer = self._read(target, f"read {set_}")
            body = content(answer, f"read {set_}", writes=False) if answer.ok else None
            listed, following = self._page(body)
            if listed is None:
                raise unclear(f"What came back for {set_} is no list.", writes=False)
            found += [self._entity(set_, kind, one, "") for one in listed]
            if len(found) > most or not following:
                return Rows(tuple(found[:most]), complete=len(found) <= most)
            target = self._following(here, target, following)
        return Rows(tuple(found), complete=False)

    def _read(self, target: str, what: str) -> Answer:
        # Without this a server of a later version may answer in a form of its own.
        most = "MaxDataServiceVersion" if self.model.version == V2 else "OData-MaxVersion"
        return self.http.read(target, what, {"Accept": "application/json", most: f"{self.model.version}.0"})

    def _page(self, body: Any) -> tuple[list[Any] | None, str]:
        if self.model.version == V2:
            body = body.get("d") if isinstance(body, Mapping) else None
            if isinstance(body, list):
                return body, ""
            names = ("results", "__next")
        else:
            names = ("value", "@odata.nextLink")
        listed = body.get(names[0]) if isinstance(body, Mapping) else None
        return (listed if isinstance(listed, list) else None), str((body or {}).get(names[1]) or "")

    def _following(self, here: str, target: str, link: str) -> str:
        """The next page on our own host: its path where that is within the service, else only its query."""
        # A relative link is relative to the request (V4) or, with some, to the service.
        absolute = urljoin(self.http.base + target, link)
        parts = urlsplit(absolute)
        inside = self.http.origin(absolute) and parts.path.startswith(f"{self.root}/")
        ours = set(self.http.parameters)
        query = "&".join(
            f"{values.encoded(name)}={values.encoded(value)}"
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
            if name not in ours
        )
        return f"{parts.path if inside else here}?{query}"

    # Writing

    def check(self, set_: str, new: Plain, *, creating: bool = False) -> None:
        """Look whether a write can be made, by the metadata alone. Unsupported when it cannot."""
        kind = self.entity_set(set_)
        if not (kind.creatable if creating else kind.updatable):
            verb = "created" if creating else "changed"
            raise Unsupported(f"The service says that nothing can be {verb} in {set_}.")
        self._body(kind.type, new, "creatable" if creating else "updatable")

    def change(self, set_: str, key: Plain, new: Plain, *, etag: str, request: str = "") -> Written:
        """Change these properties of one entity, and no others, if it still has this ETag ("" for none)."""
        part = self._changing(Change(set_, key, new, etag))
        answer = self._sent(part, request, f"change {set_}")
        return self._written(answer, set_, f"change {set_}")

    def create(self, set_: str, new: Plain, *, request: str = "") -> Written:
        """Make an entity, with those inside it (lists under the names of navigations), in one go."""
        self.check(set_, new, creating=True)
        body = values.dumped(self._body(self.entity_set(set_).type, new, "creatable")).encode()
        part = batch.Part("POST", set_, self._headers(), body)
        return self._written(self._sent(part, request, f"create in {set_}"), set_, f"create in {set_}")

    def call(
        self,
        name: str,
        arguments: Plain,
        *,
        on: tuple[str, Plain] | None = None,
        etag: str = "",
        request: str = "",
    ) -> dict[str, Any]:
        """Call a function import, an action or a function; a bound one `on` an entity, by its set and key.

        Gives {"result": the plain answer or None, "status", and what the system said besides}.
        """
        operation = self.model.operations.get(name)
        if {name, operation.name if operation else name} & self.refused:
            raise Unsupported(f"{name} is never called from here.")
        if operation is None or operation.bound is not (on is not None):
            raise Unsupported(f"The service {self.root} declares no operation {name!r} to be called so.")
        if unknown := set(arguments) - set(operation.parameters):
            raise Unsupported(f"{name} takes no {', '.join(sorted(unknown))}.")
        what, version = f"call {name}", self.model.version
        path, sent = operation.path, b""
        if on is not None:
            path = f"{self._at(*on).removeprefix(f'{self.root}/')}/{path}"
        if version == V4 and operation.method == "POST":
            body = {n: values.wire(operation.parameters[n], v, version) for n, v in arguments.items()}
            sent = values.dumped(body).encode()
        else:
            given = [
                f"{n}={values.encoded(values.literal(operation.parameters[n], v, version))}"
                for n, v in arguments.items()
            ]
            path += f"?{'&'.join(given)}" if version == V2 else f"({','.join(given)})"
        writes = operation.method != "GET"
        if writes:
            headers = {**self._headers(), **({"If-Match": etag} if etag else {})}
            answer = self._sent(batch.Part(operation.method, path, headers, sent), request, what)
        else:
            answer = self._read(f"{self.root}/{path}", what)
        if not answer.ok:
            raise refusal(answer, what, writes=writes)
        found = content(answer, what, writes=writes)
        if version == V2 and isinstance(found, Mapping):
            found = found.get("d", found)
            found = found.get(name, found) if isinstance(found, Mapping) else found
        return {"result": values.plain(None, found, version), **self._evidence(answer, found)}

    def change_all(self, changes: Sequence[Change], *, request: str = "") -> tuple[Written, ...]:
        """Change several entities in one group: all of it, or nothing."""
        what = "change " + " and ".join(sorted({one.set for one in changes}))
        parts = [self._changing(one) for one in changes]
        kind, body = batch.compose(parts)
        about = {**self._headers(), "Content-Type": kind, "Accept": "multipart/mixed"}
        whole = batch.Part("POST", "$batch", about, body)
        answer = self._sent(whole, request, what)
        if not answer.ok:
            raise refusal(answer, what, writes=True)
        try:
            answers = batch.parse(answer.headers.get("content-type", ""), answer.body)
            failed = batch.failure(answers, len(parts))
        except ValueError as error:
            raise InDoubt(f"The system was asked to {what}: {error}.") from None
        if failed is not None:
            if failed.status in {NO_METHOD, NOT_IMPLEMENTED} and self._other_verb(parts[0].method):
                return self.change_all(changes, request=request)
            raise refusal(failed, what, writes=True)
        return tuple(
            self._written(one, change.set, what) for one, change in zip(answers, changes, strict=True)
        )

    def _changing(self, change: Change) -> batch.Part:
        self.check(change.set, change.values)
        verb = "PATCH" if self.model.version == V4 else self._merge
        headers = {**self._headers(), **({"If-Match": change.etag} if change.etag else {})}
        body = values.dumped(
            self._body(self.entity_set(change.set).type, change.values, "updatable")
        ).encode()
        path = self._at(change.set, change.key).removeprefix(f"{self.root}/")
        return batch.Part(verb, path, headers, body)

    def _sent(self, part: batch.Part, request: str, what: str) -> Answer:
        headers = {**part.headers, **_repeatable(request)}
        answer = self.http.write(self.root, part.method, f"{self.root}/{part.path}", headers, part.body, what)
        if answer.status in {NO_METHOD, NOT_IMPLEMENTED} and self._other_verb(part.method):
            other = batch.Part(self._merge, part.path, part.headers, part.body)
            return self._sent(other, request, what)
        return answer

    def _other_verb(self, refused: str) -> bool:
        """Whether the verb of V2 changes that was refused can be put aside for the other one, once."""
        if refused != "MERGE" or self._merge != "MERGE":
            return False
        self._merge = "PATCH"
        return True

    def _written(self, answer: Answer, set_: str, what: str) -> Written:
        if not answer.ok:
            raise refusal(answer, what, writes=True)
        found = content(answer, what, writes=True)
        body = found.get("d", found) if isinstance(found, Mapping) else None
        kind = self.entity_set(set_).type
        entity = None
        if isinstance(body, Mapping) and set(kind.keys) <= set(body):
            entity = self._entity(set_, kind, body, answer.headers.get("etag", ""))
        etag = answer.headers.get("etag", "") or (entity.etag if entity else "")
        location = answer.headers.get("location", "") or answer.headers.get("odata-entityid", "")
        return Written(answer.status, entity, etag, location, self._evidence(answer, body))

    def _evidence(self, answer: Answer, entity: object) -> dict[str, Any]:
        evidence: dict[str, Any] = {"status": answer.status}
        if said := messages(answer, entity):
            evidence["messages"] = said
        repeatable = answer.headers.get("repeatabilityresult") or answer.headers.get("repeatability-result")
        return {**evidence, "repeatability": repeatable[:40]} if repeatable else evidence

    # Forms

    def _headers(self) -> dict[str, str]:
        # Also without a body: a function import without it was seen to arrive with its parameters empty.
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        version = "DataServiceVersion" if self.model.version == V2 else "OData-Version"
        return {**headers, version: f"{self.model.version}.0"}

    def _at(self, set_: str, key: Plain) -> str:
        kind, version = self.entity_set(set_).type, self.model.version
        if set(key) != set(kind.keys):
            raise Unsupported(f"The key of {set_} is {', '.join(kind.keys)}.")
        parts = {name: values.literal(kind.properties[name], key[name], version) for name in kind.keys}
        said = (
            next(iter(parts.values())) if len(parts) == 1 else ",".join(f"{n}={v}" for n, v in parts.items())
        )
        return f"{self.root}/{set_}({values.encoded(said)})"

    def _filter(self, kind: metadata.EntityType, where: Iterable[Condition]) -> str:
        said = []
        for name, operator, value in where:
            if name not in kind.properties:
                raise Unsupported(f"{kind.name} declares no property {name!r}.")
            said.append(
                f"{name} {operator} {values.literal(kind.properties[name], value, self.model.version)}"
            )
        return " and ".join(said)

    def _query(self, *, where: str = "", expand: Sequence[str] = (), order: str = "", top: int = 0) -> str:
        options = {"$filter": where, "$expand": self._expand(expand), "$orderby": order}
        said = [f"{name}={values.encoded(value)}" for name, value in options.items() if value]
        said += [f"$top={top}"] if top else []
        said += ["$format=json"] if self.model.version == V2 else []
        return "?" + "&".join(said) if said else ""

    def _expand(self, paths: Sequence[str]) -> str:
        if self.model.version == V2:
            return ",".join(paths)
        nested: dict[str, list[str]] = {}
        for path in paths:
            first, _, rest = path.partition("/")
            nested.setdefault(first, []).extend([rest] if rest else [])
        return ",".join(
            f"{first}($expand={self._expand(rest)})" if rest else first for first, rest in nested.items()
        )

    def _body(self, kind: metadata.EntityType, new: Plain, right: str) -> dict[str, Any]:
        sent: dict[str, Any] = {}
        for name, value in new.items():
            if name in kind.navigations and isinstance(value, (list, tuple)):
                inner = self._linked(kind, name)
                sent[name] = [self._body(inner, one, right) for one in value]
            elif name not in kind.properties:
                raise Unsupported(f"{kind.name} declares no property {name!r}, so nothing was sent.")
            elif not getattr(kind.properties[name], right):
                raise Unsupported(f"The service says that {kind.name}.{name} is not {right}.")
            else:
                sent[name] = values.wire(kind.properties[name], value, self.model.version)
        return sent

    def _linked(self, kind: metadata.EntityType, name: str) -> metadata.EntityType:
        target = kind.navigations[name].target
        if target not in self.model.types:
            raise Rejected(f"$metadata does not say what {kind.name}.{name} leads to.")
        return self.model.types[target]

    def _entity(self, set_: str, kind: metadata.EntityType, body: Plain, etag: str) -> Entity:
        version, about = self.model.version, body.get("__metadata")
        inside = about.get("etag", "") if isinstance(about, Mapping) else body.get("@odata.etag", "")
        plain, linked = {}, {}
        for name, value in body.items():
            if name in kind.properties:
                plain[name] = values.plain(kind.properties[name], value, version)
            elif name in kind.navigations:
                listed = value.get("results") if isinstance(value, Mapping) and "results" in value else value
                if isinstance(listed, Mapping) and "__deferred" not in listed:
                    listed = [listed]
                if isinstance(listed, list):
                    inner = self._linked(kind, name)
                    linked[name] = tuple(self._entity("", inner, one, "") for one in listed)
        return Entity(set_, plain, str(inside or etag), linked)


def _repeatable(request: str) -> dict[str, str]:
    """Headers by which a system that knows them carries out a request once: SAP Gateway's, and OASIS's."""
    if not request:
        return {}
    now = dt.datetime.now(dt.UTC)
    return {
        "RequestID": request,
        "RepeatabilityCreation": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "Repeatability-Request-ID": request,
        "Repeatability-First-Sent": now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }
