"""The service on the wire: its client, its errors, the token, the live catalogue, and the Dagster resource."""
