"""Many requests at once: claim, submit, poll, download."""
