"""The bucket: its layout, its objects and the loopback link server. The only package that talks to S3."""
