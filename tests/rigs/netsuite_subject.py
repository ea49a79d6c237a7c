"""What the NetSuite tests need: keys, accounts, and a conformance subject over our stand-in."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from integrations.contract import Account
from integrations.netsuite.adapter import ADAPTER, KEYS
from integrations.netsuite.client import TOKEN_PATH
from tests.integrations.conformance import Subject, a_port_where_nothing_listens
from tests.rigs.netsuite import NetSuite
from tests.rigs.oauth2 import OAuth2
from tests.rigs.shapes import working_day

KINDS = {
    "purchase_order_create": "purchaseOrder",
    "purchase_order_line_change": "purchaseOrder",
    "production_order_reschedule": "workOrder",
}
ROLES = {
    "client-purchase_order_create": {"create purchaseOrder"},
    "client-purchase_order_line_change": {"create purchaseOrder", "edit purchaseOrder"},
    "client-production_order_reschedule": {"create workOrder", "edit workOrder"},
}
CLIENTS = {"client-reader": "9", **{f"client-{name}": str(10 + n) for n, name in enumerate(KINDS)}}
PEM: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
}


def pem(kind: str) -> str:
    """A private key in PEM."""
    return PEM[kind].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(kind: str) -> str:
    """Its public key."""
    return PEM[kind].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def account(client: str) -> Account:
    """A service account: the reader signs with RSA, the writers with EC."""
    kind = "rsa" if client == "client-reader" else "ec"
    secret = {"client_id": client, "certificate_id": f"cert-{client}", "private_key": pem(kind)}
    return Account(CLIENTS[client], json.dumps(secret))


@dataclass
class Rig:
    """The stand-in and the token server."""

    system: NetSuite
    tokens: OAuth2

    def options(self, **more: Any) -> dict[str, Any]:
        return {"url": self.system.url, "token_url": self.tokens.token_url, "timeout": 10, **more}

    def subject(self) -> Subject:
        @contextlib.contextmanager
        def lose_answer(_type_name: str) -> Iterator[None]:
            self.system.lose = lambda asked: asked.method in {"PUT", "PATCH"}
            yield
            self.system.lose = None

        def nowhere() -> Mapping[str, Any]:
            dead = f"http://127.0.0.1:{a_port_where_nothing_listens()}"
            return {"url": dead, "token_url": f"{dead}{TOKEN_PATH}"}

        def count(reference: str) -> int:
            keys = {str(uuid.uuid5(KEYS, f"{reference} {step}")) for step in ("create", "write")}
            return sum(effect in keys for effect in self.system.effects)

        return Subject(
            adapter=ADAPTER,
            options=self.options(),
            reader=account("client-reader"),
            writers={name: account(f"client-{name}") for name in KINDS},
            payload=self.payload,
            arguments=self.arguments,
            missing=lambda tool: {"supplier" if tool == "supplier" else "order": "999999"},
            touch=self.touch,
            nowhere=nowhere,
            count=count,
            lose_answer=lose_answer,
        )

    def first(self, kind: str) -> int:
        return next(number for of, number in self.system.orders if of == kind)

    def payload(self, type_name: str) -> Mapping[str, Any]:
        if type_name == "purchase_order_create":
            line = {
                "quantity": {"value": "450.5", "unit": "Piece"},
                "unit_price": {"amount": "2.105", "currency": "EUR"},
            }
            return {
                "supplier": "6",
                "lines": [
                    {"product": "9", "delivery_date": working_day(80), **line},
                    {
                        "product": "8",
                        "quantity": {"value": "41", "unit": "Pair"},
                        "unit_price": {"amount": "12.40", "currency": "EUR"},
                        "delivery_date": working_day(81),
                    },
                ],
                "note": "Please deliver together",
            }
        if type_name == "purchase_order_line_change":
            return {
                "order": str(self.first("purchaseOrder")),
                "line": "1",
                "quantity": {"value": "60", "unit": "Pair"},
                "delivery_date": working_day(25),
            }
        return {
            "order": str(self.first("workOrder")),
            "planned_start": working_day(9),
            "planned_finish": working_day(12),
        }

    def arguments(self, tool: str) -> Mapping[str, Any]:
        return {
            "purchase_order": {"order": str(self.first("purchaseOrder"))},
            "production_order": {"order": str(self.first("workOrder"))},
            "supplier": {"supplier": "6"},
        }[tool]

    def touch(self, type_name: str, proposed: Any) -> bool:
        if type_name == "purchase_order_create":
            self.system.vendors[int(proposed.supplier)]["companyname"] = "Beschlag & Partner"
        else:
            self.system.touch(KINDS[type_name], int(proposed.order))
        return True
