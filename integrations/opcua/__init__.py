"""OPC UA for ISA-95 job control (OPC 10031-4): job states and counts, reading only."""
