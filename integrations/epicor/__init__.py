"""Epicor Kinetic by its REST API v2. Written from other people's material, not verified against Kinetic: see README.md.

`client` speaks, `purchases` and `jobs` know the records, `adapter` is the contract's face.
"""
