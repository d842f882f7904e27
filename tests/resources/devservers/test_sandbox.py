import json
import os
import urllib.request

import pytest

from resources.devservers.start import SANDBOX_TOKEN, ServerNotStarted, environment, start_sandbox
from resources.settings import load_settings
from resources.storage.bucket import Bucket


def answer(url, **headers):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {SANDBOX_TOKEN}", **headers})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def test_it_listens_and_ends(make_sandbox):
    sandbox = make_sandbox()
    assert answer(f"{sandbox.url}/_sandbox/charges")["count"] == 0
    sandbox.stop()
    assert not sandbox.process.running


def test_environment_of_a_test(service_env, bucket, tmp_path):
    settings = load_settings()
    assert (settings.service, settings.bucket, settings.settle_seconds) == ("sandbox", bucket.name, 0)
    assert settings.data_dir == tmp_path / "data"
    assert settings.runcomfy_token.get_secret_value() == SANDBOX_TOKEN
    Bucket.from_settings(settings).check()
    assert answer(f"{settings.runcomfy_model_api_base.removesuffix('/v1')}/_sandbox/charges")["count"] == 0
    assert service_env["I2V_BUCKET"] == bucket.name
    assert os.environ["AWS_ENDPOINT_URL_S3"] == service_env["AWS_ENDPOINT_URL_S3"]


def test_an_unknown_option_is_reported(tmp_path):
    with pytest.raises(ServerNotStarted, match=r"The sandbox ended with code .*--colour"):
        start_sandbox(tmp_path, colour="red")


def test_settings_become_variables():
    assert environment(settle_seconds=0, bucket="b") == {"I2V_SETTLE_SECONDS": "0", "I2V_BUCKET": "b"}
