"""The bucket as a Dagster resource. It has no configuration: no run config can choose a bucket or hold its keys."""

from typing import TYPE_CHECKING

from resources.environment_resource import EnvironmentResource
from resources.settings import load_settings

if TYPE_CHECKING:
    from resources.storage.bucket import Bucket


class BucketResource(EnvironmentResource):
    """Open the bucket `I2V_BUCKET` for assets and sensors."""

    def open(self) -> "Bucket":
        """Return the bucket; nothing is asked of it yet.

        Raises:
            SettingsError: a variable is malformed.
        """
        from resources.storage.bucket import Bucket

        return Bucket.from_settings(load_settings())
