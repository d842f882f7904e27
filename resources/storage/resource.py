"""The bucket as a Dagster resource; where it is comes from the environment, so no secret is ever part of a config."""

import dagster as dg

from resources.settings import load_settings
from resources.storage.bucket import Bucket


class BucketResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Gives assets and sensors the bucket of ``I2V_BUCKET``."""

    def open(self) -> Bucket:
        """The bucket; nothing is contacted yet.

        Raises:
            SettingsError: a variable is malformed.
        """
        return Bucket.from_settings(load_settings())
