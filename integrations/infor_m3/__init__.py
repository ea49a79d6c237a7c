"""Infor M3 by its REST API on the ION API gateway. Written from documentation, not verified against M3: see README.md.

`client` speaks, `purchases` and `productions` know the records, `adapter` is the contract's face.
"""
