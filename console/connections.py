"""The only way out: from a connection's name to a live adapter with one service account.

Live adapters are kept per thread, because their sessions are, and given up when the settings or a fault say so. None
of them repeats a secret of the accounts at its system, whatever the system says back (`discreet`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from console import tracing
from console.catalogue import READER, Spec, spec, specs
from console.discreet import discreet
from console.environment import secret
from integrations.contract import Account, Listener, Notifier, Reader, Unsupported, Writer

_local = threading.local()


class _Pool(dict[tuple[str, str], Any]):
    """One thread's live connections. They are closed when the thread ends, not when somebody cleans up."""

    def __del__(self) -> None:
        for live in self.values():
            with contextlib.suppress(Exception):
                live.close()


def reader(name: str) -> Reader:
    """A live connection with the reader account. Unavailable and the like come from its calls."""
    live: Reader = _live(name, READER)
    return live


def viewer(name: str, type_name: str) -> Reader:
    """The reader that shows the records of a type: the connection's own, or that of the one that verifies it."""
    found = spec(name)
    carried = found.adapter.types.get(type_name)
    return reader(found.verified_by if carried is not None and carried.seen_elsewhere else name)


def writer(name: str, type_name: str) -> Writer:
    """A live connection with the account of one transaction type. Unsupported where there is none."""
    found = spec(name)
    if found.adapter.writer is None or type_name not in found.accounts:
        raise Unsupported(f"connection {name} has no account for {type_name}")
    live: Writer = _live(name, type_name)
    return live


def listener(name: str) -> Listener:
    """A session of its own for the process that listens; the caller closes it. Unsupported where there is none."""
    found = spec(name)
    if found.adapter.listener is None:
        raise Unsupported(f"connection {name} cannot be listened on")
    account = _account(found.accounts[READER])
    return discreet(found.adapter.listener(found.options, account), account, _others(found), found.options)


def notifier(name: str) -> Notifier:
    """What proves and reads the callbacks of a connection, with the secret as it is now. Unsupported without one."""
    found = spec(name)
    if found.adapter.notifier is None:
        raise Unsupported(f"connection {name} does not answer later")
    entry = found.accounts[READER]
    account = Account(login=str(entry.get("login", "")), secret=secret(str(entry["secret"])))
    return discreet(found.adapter.notifier(found.options, account), account, _others(found), found.options)


def login(name: str, purpose: str) -> str:
    """The login of an account, for the record; never its secret."""
    return spec(name).accounts[purpose].get("login", "")


def drop(name: str) -> None:
    """Let go of this thread's live connections of that name, after a fault or a change of secret.

    Also of those by which it is verified: the fault may have been theirs.
    """
    found = specs().get(name)
    names = {name, found.verified_by if found is not None else name}
    for key in [key for key in _pool() if key[0] in names]:
        _pool().pop(key).close()


def _pool() -> _Pool:
    pool: _Pool = _local.__dict__.setdefault("pool", _Pool())
    return pool


def _live(name: str, purpose: str) -> Any:
    pool = _pool()
    if (name, purpose) not in pool:
        found = spec(name)
        account = Account("", "") if found.adapter.by_hand else _account(found.accounts[purpose])
        opened = found.adapter.reader if purpose == READER else found.adapter.writer
        if opened is None:
            raise Unsupported(f"connection {name} only reads")
        live = discreet(opened(found.options, account), account, _others(found), found.options)
        pool[name, purpose] = tracing.calls(live, connection=name, system=found.system, purpose=purpose)
    return pool[name, purpose]


def _others(found: Spec) -> list[Account]:
    """Every account at the same system, by whatever connection: it may show one what another sent."""
    told = []
    for one in specs().values():
        for entry in one.accounts.values() if one.system == found.system else ():
            with contextlib.suppress(ImproperlyConfigured):  # whoever needs the secret says so
                told.append(_account(entry))
    return told


def _account(entry: Mapping[str, str]) -> Account:
    """Its login and secret. A folder or an anonymous broker has none: an entry without `secret` has an empty one."""
    named = str(entry.get("secret") or "")
    return Account(login=str(entry.get("login", "")), secret=secret(named) if named else "")
