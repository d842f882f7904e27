"""Quality of a video against the request: ``measure`` gives the figures, ``judge`` the findings, ``score`` one number."""
