"""The static gallery page of all clips and films."""
