"""A real Tryton for the demo and the tests: a furniture maker, in an environment and a database of its own.

Tryton is GPL and stays a separate program: `stack` starts it, `seed` and `database` are run by the Python of
Tryton's own environment, and nothing here imports it when our own processes load the module.
"""
