"""The processes a demo and the tests run on: database, broker, and the supervisor that leaves nothing behind."""
