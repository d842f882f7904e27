"""The SQL record of every paid request, written before money can move."""
