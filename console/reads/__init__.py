"""The read corridor: authorise, call, stamp, record. The only place where a request waits for a system."""
