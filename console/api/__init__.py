"""The agents' door: who calls, how often, what they may see, read and propose. It decides nothing."""
