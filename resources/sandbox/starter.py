"""The one door into the sandbox's house: starts and ends the embedded servers."""

from resources.sandbox.child_process import ChildProcess, ServerNotStarted
from resources.sandbox.s3_server import RunningS3, free_port, start_s3

__all__ = ["ChildProcess", "RunningS3", "ServerNotStarted", "environment", "free_port", "start_s3"]


def environment(s3: RunningS3 | None = None) -> dict[str, str]:
    """The variables under which a child process (or this one) uses the started servers."""
    variables: dict[str, str] = {}
    if s3 is not None:
        variables |= {
            "AWS_ENDPOINT_URL_S3": s3.endpoint,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key.get_secret_value(),
            "AWS_REGION": s3.region,
        }
    return variables
