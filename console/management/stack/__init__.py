"""What a demo and the tests run on: database, broker, and a supervisor that leaves nothing behind."""
