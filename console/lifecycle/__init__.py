"""The corridor: one file per door, in the order in which a proposal passes them."""
