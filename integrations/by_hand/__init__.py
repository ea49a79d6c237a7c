"""Tasks: a person is the writer. See README.md beside this file."""
