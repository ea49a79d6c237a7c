"""What is configured: agents, keys, grants, connections, limits, kill switch, incidents.

The verbs have the same form as the corridor's. What narrows takes effect at once; what widens waits as a
`Widening` until a second person confirms it. The command line of the deployment (actor "operator") acts at once:
whoever has it owns the machine, and the audit trail says so.
"""
