"""The bucket: its layout, its objects and the loopback server for its links. The only room that talks to S3."""
