"""Films: ordered lists of clips in ``sequences/<name>.yaml``, joined into one video."""
