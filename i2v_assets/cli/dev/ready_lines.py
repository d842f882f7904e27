"""What `make dev` prints for other programs: the bucket's address and keys, and lines that can be pasted. Pure."""

from collections.abc import Mapping

from i2v_assets.cli.running_dev import dev_command


def ready_lines(variables: Mapping[str, str], bucket: str) -> tuple[str, ...]:
    """Return the lines about the local bucket.

    Its keys may be shown: they open nothing but this server on loopback, and whoever can read this terminal can read them in
    the folder of `make dev` too.

    Args:
        variables: The services' environment.
        bucket: The bucket's name.
    """
    endpoint, region = variables["AWS_ENDPOINT_URL_S3"], variables["AWS_REGION"]
    key, secret = variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    target = f"s3://{bucket}/uploads/"
    keys = f"AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION={region}"
    # As variables and not as arguments: those are seen by every user of the machine.
    remote = (
        f"RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT={endpoint} RCLONE_S3_REGION={region}"
        f" RCLONE_S3_ACCESS_KEY_ID={key} RCLONE_S3_SECRET_ACCESS_KEY={secret}"
    )
    return (
        f"Bucket:      s3://{bucket} at {endpoint}, key {key}, secret {secret}",
        "Drop a file in, from any folder, by one of:",
        f"  {dev_command(anywhere=True)} upload FILE",
        f"  {keys} aws --endpoint-url {endpoint} s3 cp FILE {target}",
        f"  {remote} rclone copy FILE :s3:{bucket}/uploads/",
    )
