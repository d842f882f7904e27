"""The bucket as a Dagster resource. Its address comes from the environment, so no config contains a secret."""

import dagster as dg

from resources.settings import load_settings
from resources.storage.bucket import Bucket


class BucketResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the bucket of ``I2V_BUCKET`` for assets and sensors."""

    def open(self) -> Bucket:
        """Return the bucket, without any network call.

        Raises:
            SettingsError: a variable is malformed.
        """
        return Bucket.from_settings(load_settings())
