"""The static gallery page: entries in, files out. Pure."""
