"""Template filters of the people's door."""
