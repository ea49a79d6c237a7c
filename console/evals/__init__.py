"""Earned trust: what the figures say of an agent, and what follows from them. Nothing under lifecycle imports this."""
