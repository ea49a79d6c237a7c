"""The tree, its signatures and its receipts, as RFC 9162 and C2SP have them."""

import base64
import hashlib
import runpy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from console import audit_tree as tree
from console.environment import ROOT

# The test vectors of the reference implementation of RFC 6962: eight leaves, and the root of each prefix.
LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Index, size and path, from the same source.
PATHS: list[tuple[int, int, list[str]]] = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        3,
        ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    ),
]


def leaf_hashes(count: int = 8) -> list[bytes]:
    return [tree.leaf_hash(bytes.fromhex(one)) for one in LEAVES[:count]]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return tree.node_hash(root_by_definition(leaves[:k]), root_by_definition(leaves[k:]))


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*path_by_definition(index, leaves[:k]), root_by_definition(leaves[k:])]
    return [*path_by_definition(index - k, leaves[k:]), root_by_definition(leaves[:k])]


@pytest.mark.parametrize("size", range(9))
def test_the_root_of_every_prefix_is_the_published_one(size: int) -> None:
    assert tree.root_of(leaf_hashes(size)).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_paths_prove_their_leaves(index: int, size: int, path: list[str]) -> None:
    beside = [bytes.fromhex(one) for one in path]
    leaf = leaf_hashes()[index]
    assert tree.includes(bytes.fromhex(ROOTS[size]), size, index, leaf, beside)
    assert path_by_definition(index, leaf_hashes(size)) == beside


@given(st.integers(1, 200), st.data())
def test_a_path_proves_its_leaf_at_its_place_and_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = [tree.leaf_hash(bytes([n])) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    head, path = root_by_definition(leaves), path_by_definition(index, leaves)
    assert tree.root_of(leaves) == head
    assert tree.includes(head, size, index, leaves[index], path)
    other = data.draw(st.integers(-1, size + 1).filter(lambda n: n != index))
    assert not tree.includes(head, size, other, leaves[index], path)
    assert not tree.includes(head, size, index, tree.leaf_hash(b"another"), path)
    assert not tree.includes(head, size, index, leaves[index], [*path, path[0] if path else head])
    if path:
        assert not tree.includes(head, size, index, leaves[index], path[:-1])
        broken = data.draw(st.integers(0, len(path) - 1))
        changed = bytes([path[broken][0] ^ 1]) + path[broken][1:]
        forged = [*path[:broken], changed, *path[broken + 1 :]]
        assert not tree.includes(head, size, index, leaves[index], forged)


def test_a_signed_checkpoint_is_read_back_and_nothing_of_it_can_be_changed() -> None:
    note = tree.sign(tree.Head("countersign", 5, bytes.fromhex(ROOTS[5])))
    keys = [tree.verifier_key()]
    assert tree.read_note(note, keys) == tree.Head("countersign", 5, bytes.fromhex(ROOTS[5]))
    text = note.partition("\n\n")[0]
    assert text.split("\n") == ["countersign", "5", base64.b64encode(bytes.fromhex(ROOTS[5])).decode()]
    for wrong in (
        note.replace("\n5\n", "\n6\n"),
        note.replace("countersign\n5", "other\n5"),
        text,
        "",
        "x\n\n\u2014 a b",
    ):
        with pytest.raises(ValueError, match=r"signature|signed|not a checkpoint"):
            tree.read_note(wrong, keys)


def test_a_checkpoint_signed_by_another_key_is_not_ours() -> None:
    note = tree.sign(tree.Head("countersign", 5, bytes.fromhex(ROOTS[5])))
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    number = hashlib.sha256(b"countersign\n\x01" + public).digest()[:4].hex()
    other = f"countersign+{number}+" + base64.b64encode(b"\x01" + public).decode()
    with pytest.raises(ValueError, match="no key that we trust"):
        tree.read_note(note, [other])


def test_a_witness_may_sign_beside_us() -> None:
    note = tree.sign(tree.Head("countersign", 5, bytes.fromhex(ROOTS[5])))
    note += "\u2014 witness.example " + base64.b64encode(b"1234" + bytes(64)).decode() + "\n"
    assert tree.read_note(note, [tree.verifier_key()]).size == 5


def verifier() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "static" / "verify_receipt.py"))


def test_the_exported_script_agrees_with_the_published_signatures() -> None:
    """RFC 8032, section 7.1, tests 1 to 3; and a changed byte is refused."""
    signed = verifier()["signed"]
    for public, message, signature in (
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            (
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
            ),
        ),
    ):
        key, text, proof = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
        assert signed(key, text, proof)
        assert not signed(key, text + b"x", proof)
        assert not signed(key, text, proof[:40] + bytes([proof[40] ^ 1]) + proof[41:])
