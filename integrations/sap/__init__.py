"""SAP S/4HANA over its public OData services; see the README beside this file."""
