"""Content Credentials (C2PA) in the video file itself; needs the extra ``provenance`` and a certificate."""
