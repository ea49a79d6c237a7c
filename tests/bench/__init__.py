"""Measures what a proposal costs and how fast the pages are. `python -m tests.bench`; see `__main__`."""
