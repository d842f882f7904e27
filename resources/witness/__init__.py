"""The second witness: what was claimed and sent, written to the bucket before money moves."""
