"""JSON over HTTP, as a library for adapters: no system's names are in it."""
