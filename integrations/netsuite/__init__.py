"""Oracle NetSuite by SuiteTalk REST. Written from Oracle's documentation, not verified against NetSuite: see README.md.

`client` speaks, `purchases` and `work_orders` know the records, `adapter` is the contract's face.
"""
