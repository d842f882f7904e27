"""The service's HTTP API: its client, errors, token, live catalogue, and the Dagster resource."""
