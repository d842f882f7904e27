"""Read and write the API token.

``RUNCOMFY_TOKEN`` (trimmed, not empty), else ``RUNCOMFY_API_TOKEN``, else ``RUNCOMFY_API_KEY`` takes precedence over the
token file, which is shared with the vendor's own command-line tool: ``$RUNCOMFY_CONFIG_DIR/token.json``, else ``$XDG_CONFIG_HOME/runcomfy/token.json``, else
``~/.config/runcomfy/token.json``.
"""

import contextlib
import json
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from resources.bounded_json import read_json
from resources.runcomfy.errors import MissingToken, TokenMalformed
from resources.settings import Settings, variable_name

HOW_TO_SIGN_IN = (
    "Sign in with `i2v login`, or set RUNCOMFY_TOKEN to a token from https://www.runcomfy.com (profile, API tokens)."
)
_MALFORMED_REMEDY = "Copy it again, whole and alone, or sign in with `i2v login`."
_MAX_FILE_BYTES = 64 * 1024  # a token file has some hundred bytes; anything larger is another file


def checked_token(text: str, origin: str) -> SecretStr:
    """Return the token without surrounding white space.

    Raises:
        TokenMalformed: it is empty, or contains white space, control characters or characters beyond ASCII.
    """
    token = text.strip()
    if not token or any(not "!" <= letter <= "~" for letter in token):
        raise TokenMalformed(
            f"The token in {origin} is malformed: it must be printable ASCII without white space.",
            remedy=_MALFORMED_REMEDY,
        )
    return SecretStr(token)


def token_path(settings: Settings) -> Path:
    """Return the path of the token file, which may not exist."""
    if settings.runcomfy_config_dir is not None:
        return settings.runcomfy_config_dir.expanduser() / "token.json"
    config_home = os.environ.get("XDG_CONFIG_HOME", "").strip()
    # The XDG rules call a relative path invalid.
    base = Path(config_home) if config_home and Path(config_home).is_absolute() else Path.home() / ".config"
    return base / "runcomfy" / "token.json"


def _from_environment(settings: Settings) -> "dict[str, str]":
    """Return the variables that hold a token, in the order in which they count."""
    secrets_by_field = {
        "runcomfy_token": settings.runcomfy_token,
        "runcomfy_api_token": settings.runcomfy_api_token,
        "runcomfy_api_key": settings.runcomfy_api_key,
    }
    held = {name: secret.get_secret_value() for name, secret in secrets_by_field.items() if secret is not None}
    return {variable_name(name): text for name, text in held.items() if text.strip()}


def variable_in_force(settings: Settings) -> str | None:
    """Return the environment variable whose token is in force; None if no variable holds one."""
    return next(iter(_from_environment(settings)), None)


def load_token(settings: Settings) -> SecretStr | None:
    """Return the token in force; None if no token is configured.

    Raises:
        TokenMalformed: the first source holds something that cannot be a token. The next source is not tried: it could
            belong to another account.
    """
    if (name := variable_in_force(settings)) is not None:
        return checked_token(_from_environment(settings)[name], name)
    path = token_path(settings)
    try:
        with path.open("rb") as file:
            content = read_json(file.read(_MAX_FILE_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenMalformed(
            f"The token file {path} cannot be read: {error.strerror or type(error).__name__}.",
            remedy="Make it readable for you alone (chmod 600), or sign in with `i2v login`.",
        ) from None
    except ValueError:
        raise TokenMalformed(f"The token file {path} is not JSON.", remedy=_MALFORMED_REMEDY) from None
    token = content.get("access_token") if isinstance(content, dict) else None
    if token is None:
        return None
    if not isinstance(token, str):
        raise TokenMalformed(f"The token in {path} is not text.", remedy=_MALFORMED_REMEDY)
    return checked_token(token, str(path))


def require_token(settings: Settings) -> SecretStr:
    """Return the token in force.

    Raises:
        MissingToken: no token is configured; the remedy says how to sign in.
        TokenMalformed: there is a token, but it cannot be one.
    """
    token = load_token(settings)
    if token is None:
        raise MissingToken("No RunComfy token was found.", remedy=HOW_TO_SIGN_IN)
    return token


def write_token(settings: Settings, token: SecretStr, *, user_email: str | None = None) -> Path:
    """Write the token file (mode 0600, atomically; a new folder gets 0700) and return its path.

    Raises:
        TokenMalformed: it cannot be a token.
        OSError: the file cannot be written.
    """
    plain = checked_token(token.get_secret_value(), "the login's answer").get_secret_value()
    path = token_path(settings)
    if not path.parent.exists():  # an existing folder keeps its mode: it may hold other files that others read
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.chmod(0o700)
    content = {"access_token": plain, "refresh_token": None, "expires_at": None, "user_email": user_email}
    partial = path.with_name(f".token.{secrets.token_hex(6)}.tmp")
    # Created with its final mode: a file whose mode is changed later is readable for a moment.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return path


def delete_token(settings: Settings) -> bool:
    """Delete the token file and return whether there was one; a token in the environment stays in force."""
    try:
        token_path(settings).unlink()
    except FileNotFoundError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
