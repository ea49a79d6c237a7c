"""OData V2 and V4, as a library for adapters: no system's names are in it. What a service has, its `$metadata` says."""
