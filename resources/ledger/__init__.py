"""The SQL record of every request, written before money can move."""
