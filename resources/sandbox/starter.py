"""The one door into the sandbox's house: starts and ends the embedded servers."""

from resources.sandbox.child_process import ChildProcess, ServerNotStarted
from resources.sandbox.s3_server import RunningS3, free_port, start_s3

__all__ = ["ChildProcess", "RunningS3", "ServerNotStarted", "free_port", "start_s3"]
