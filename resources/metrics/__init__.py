"""Figures for Prometheus, read from the ledger."""
