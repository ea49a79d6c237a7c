"""Commands: they drive the corridor and own nothing of it."""
