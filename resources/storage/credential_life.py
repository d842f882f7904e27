"""How long the S3 credentials in force live: a presigned address dies with the session that signed it."""

import os
from datetime import UTC, datetime

from resources.storage.errors import translated


def credentials_expire_at() -> datetime | None:
    """When they run out, in UTC; None for keys that do not, and where nobody says.

    Credentials of a role are renewed by boto3, but an address that was presigned before keeps the old session's end.

    Raises:
        AccessDenied: there are none, or the profile does not exist.
    """
    import boto3

    with translated("read the credentials", "of the environment"):
        found = boto3.session.Session().get_credentials()
    moment = getattr(found, "_expiry_time", None)  # botocore keeps it there for every kind that expires
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    told = os.environ.get("AWS_CREDENTIAL_EXPIRATION", "")
    try:
        return datetime.fromisoformat(told).astimezone(UTC) if told else None
    except ValueError:
        return None
