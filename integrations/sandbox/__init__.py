"""The sandbox: a small ERP of our own, in a process of its own, that can be told to fail in every way.

It exists for tests, benches and trying things out; production settings refuse it. What it enforces, it
enforces itself (scopes, stamps, unique references, idempotency keys), and every effect is one line in its
ledger.
"""
