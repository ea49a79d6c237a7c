"""The last door: a robot at the screen of a system that offers no other way to write."""
