"""Rows as model instances by SQL that is written once.

The ORM builds its SQL anew for every call, which costs ten times what running it costs; that is no matter on a page,
and half of all the work in the statements that every proposal runs many times. `Fetch` builds the same joined
SELECT once, from the models, and makes the same instances of its rows; `Insert` does so for new rows. Everything
else stays with the ORM.
"""

# ruff: noqa: SLF001 Django documents `_meta`

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from django.db import connection, models
from psycopg.types.json import Jsonb

M = TypeVar("M", bound=models.Model)


class Fetch(Generic[M]):
    """A SELECT over a model and some of its foreign keys, which must not be null.

    `paths` are written as for select_related; in conditions the model is `t`, and each key is named by its path,
    such as `agent_version__agent`. Every instance of the model gets `db_now`: the database's clock when the row was
    looked for, before any wait for its lock; and, where `asks` is an SQL expression, its value as `asked`.
    """

    def __init__(self, model: type[M], *paths: str, asks: str = "NULL") -> None:
        self.model = model
        self._asks = asks
        self._paths = sorted(
            {"__".join(p.split("__")[: i + 1]) for p in paths for i in range(p.count("__") + 1)}
        )

    def one(self, condition: str, values: Sequence[Any]) -> M | None:
        """The first row of `WHERE condition`, or None."""
        return next(self.all(condition, values), None)

    def all(self, condition: str, values: Sequence[Any]) -> Iterator[M]:
        """The rows of `WHERE condition`, in its order."""
        with connection.cursor() as cursor:
            cursor.execute(f"{self._select} WHERE {condition}", values)
            rows = cursor.fetchall()
        return (self._made(row) for row in rows)

    @cached_property
    def _parts(self) -> list[tuple[str, type[models.Model], str]]:
        """Alias, model, and how it is joined; the model itself first, a key after the one it hangs on."""
        parts: list[tuple[str, type[models.Model], str]] = [("t", self.model, "")]
        found: dict[str, type[models.Model]] = {"": self.model}
        for path in self._paths:
            before, _, name = path.rpartition("__")
            key = cast("models.ForeignKey[Any, Any]", found[before]._meta.get_field(name))
            if key.null:
                raise ValueError(f"{path} may be null: ask the ORM")
            to = key.related_model
            found[path] = to
            on = f'"{path}"."id" = "{before or "t"}"."{key.column}"'
            parts.append((path, to, f' JOIN "{to._meta.db_table}" "{path}" ON {on}'))
        return parts

    @cached_property
    def _select(self) -> str:
        columns = [
            f'"{alias}"."{field.column}"'
            for alias, model, _ in self._parts
            for field in model._meta.concrete_fields
        ]
        joins = "".join(join for _, _, join in self._parts)
        table = self.model._meta.db_table
        return f'SELECT {", ".join(columns)}, clock_timestamp(), {self._asks} FROM "{table}" "t"{joins}'  # noqa: S608

    @cached_property
    def _shapes(self) -> list[tuple[type[models.Model], list[str], list[tuple[int, Any]], str, str]]:
        """For each part: model, attributes, converters by place, the alias it hangs on, its name there."""
        shapes = []
        for alias, model, _ in self._parts:
            fields = model._meta.concrete_fields
            converters = [
                (place, field.from_db_value)
                for place, field in enumerate(fields)
                if hasattr(field, "from_db_value")
            ]
            before, _, name = alias.rpartition("__")
            names = [field.attname for field in fields]
            shapes.append((model, names, converters, before or "t", name))
        return shapes

    def _made(self, row: Sequence[Any]) -> M:
        made: dict[str, models.Model] = {}
        start = 0
        for (alias, _, _), (model, names, converters, before, name) in zip(
            self._parts, self._shapes, strict=True
        ):
            values = list(row[start : start + len(names)])
            start += len(names)
            for place, convert in converters:
                values[place] = convert(values[place], None, connection)
            made[alias] = model.from_db(connection.alias, names, values)
            if alias != "t":
                setattr(made[before], name, made[alias])
        found = made["t"]
        found.db_now, found.asked = row[-2:]  # type: ignore[attr-defined]
        return cast("M", found)


class Insert(Generic[M]):
    """An INSERT of one row of a model. The columns in `now` get the database's clock, the others their values."""

    def __init__(self, model: type[M], *, now: Sequence[str] = ()) -> None:
        self.model = model
        self._now = tuple(now)

    def one(self, **values: Any) -> M:
        """The new row. Values are those of `Model(...)`; what is left out has the field's default.

        Raises TypeError for a value that is no field's.
        """
        attributes: dict[str, Any] = {"id": None}
        related: dict[str, Any] = {}
        parameters: list[Any] = []
        for field in self._fields:
            value = values.pop(field.name) if field.name in values else field.get_default()
            if isinstance(field, models.ForeignKey):
                related[field.name] = value
                value = value.pk if value is not None else None
            elif isinstance(value, enum.Enum):
                value = value.value
            attributes[field.attname] = value
            is_json = isinstance(field, models.JSONField) and value is not None
            parameters.append(Jsonb(value) if is_json else value)
        if values:
            raise TypeError(f"{self.model.__name__} has no {', '.join(sorted(values))} to insert")
        with connection.cursor() as cursor:
            cursor.execute(self._insert, parameters)
            attributes |= zip(("id", *self._now), cursor.fetchone() or (), strict=True)
        made = self.model.from_db(
            connection.alias,
            list(attributes),
            [attributes[field.attname] for field in self.model._meta.concrete_fields],
        )
        for name, value in related.items():
            setattr(made, name, value)
        return made

    @cached_property
    def _fields(self) -> list[Any]:
        return [
            field
            for field in self.model._meta.concrete_fields
            if not field.primary_key and field.name not in self._now
        ]

    @cached_property
    def _insert(self) -> str:
        columns = [f'"{name}"' for name in (*(field.column for field in self._fields), *self._now)]
        places = [*("%s" for _ in self._fields), *("statement_timestamp()" for _ in self._now)]
        return (
            f'INSERT INTO "{self.model._meta.db_table}" ({", ".join(columns)})'  # noqa: S608
            f" VALUES ({', '.join(places)}) RETURNING {', '.join(('id', *self._now))}"
        )
