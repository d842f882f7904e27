"""Is a video what was asked for? ``measure`` gives the figures, ``judge`` the findings, ``score`` one number."""
