"""Tryton, spoken to over its own JSON-RPC; nothing of it is imported.

Light on purpose: the demo's scripts run inside Tryton's environment, where none of our dependencies are.
"""
