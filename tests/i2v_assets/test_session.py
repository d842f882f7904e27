import os
import pwd

from i2v_assets.session import current_user


def test_a_user_without_a_name_decides_by_the_uid(monkeypatch):
    """A container may run under a uid that no file names."""

    def unknown(uid):
        raise KeyError(uid)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert current_user() == f"uid {os.getuid()}"
