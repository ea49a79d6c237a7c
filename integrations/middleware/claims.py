"""What the middleware says later: `transaction.committed` or `transaction.rejected`, of one of our references."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from integrations.contract import Account, Claim, Rejected
from integrations.middleware import signing

LONGEST_TEXT = 500

Word = Annotated[str, StringConstraints(max_length=100)]


class Said(BaseModel):
    """The `data` of a callback. What else is in it is kept with the bytes and has no meaning here."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    reference: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    document: Word = ""
    label: Word = ""
    code: Word = ""
    text: str = ""


class Callback(BaseModel):
    """A callback's body. There is no type that approves anything, and none that is not one of these."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    type: Literal["transaction.committed", "transaction.rejected"]
    data: Said


class Ear:
    """Understands callbacks, by the secret of the connection's reading account."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        del options
        self._keys = signing.keys(account.secret)

    def hear(self, headers: Mapping[str, str], raw: bytes) -> Claim:
        """The claim in a message that is proven to be the middleware's."""
        message_id = signing.verify(self._keys, headers, raw)
        try:
            said = Callback.model_validate(json.loads(raw, object_pairs_hook=_once))
        except ValidationError as error:
            places = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
            raise Rejected(
                f"It is no callback ({places}): type is transaction.committed or transaction.rejected, and "
                "data.reference names the message it is about."
            ) from None
        except (ValueError, RecursionError):
            raise Rejected("It is not JSON, or a name stands twice in one object.") from None
        data = said.data
        text = data.text[:LONGEST_TEXT]
        return Claim(
            id=message_id,
            reference=data.reference,
            happened=said.type == "transaction.committed",
            document=data.document,
            label=data.label,
            text=f"{data.code}: {text}" if data.code else text,
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
