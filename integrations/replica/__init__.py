"""A read replica of an ERP's database: read tools as reviewed SQL on a PostgreSQL standby. Nothing here writes."""
