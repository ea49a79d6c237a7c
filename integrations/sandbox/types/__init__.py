"""How the sandbox carries each transaction type, one module a type.

Every module has `KIND` (the sandbox's name for the record), `snapshot(erp, payload)`, `plan(payload,
snapshot, reference, way)` and `record(view)` or, for the line change, `record(view, payload)`; all take
`payload` for one form.
"""
