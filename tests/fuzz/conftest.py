"""How many examples: 200 of each in `make test`, more in each round of `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

ROUND = int(os.environ.get("I2V_TEST_FUZZ_EXAMPLES", "200"))

settings.register_profile(
    "strangers",
    settings.get_profile("suite"),
    max_examples=ROUND,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("strangers")
