"""Transaction types of a deployment's own, as TRANSACTION_TYPE_PACKAGES names them."""
