"""`i2v settings`: every variable, its value, default and meaning."""

from pathlib import Path

import typer
from pydantic import SecretStr

from i2v_assets.cli.console import AsJson, print_json, print_table
from resources.settings import Settings, load_settings, variable_name

app = typer.Typer()


def shown(value: object) -> str:
    """A value for people; secrets are masked."""
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, Path()) else str(value)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.startswith("sqlite"):
        return url
    if "@" not in rest:  # then what follows the first colon is a port, or a password without its host
        name, colon, _ = rest.partition(":")
        return f"{scheme}://{name}:********" if colon else url
    account, _, host = rest.rpartition("@")
    return f"{scheme}://{account.partition(':')[0]}:********@{host}"


@app.command("settings")
def settings_command(as_json: AsJson = False) -> None:
    """Show every variable with its value in force, default and meaning; secrets are masked.

    S3 is configured by boto3's own variables and files (AWS_ENDPOINT_URL_S3, AWS_PROFILE, roles).
    """
    values = load_settings()
    rows = []
    for field, info in Settings.model_fields.items():
        value = shown(getattr(values, field))
        default = shown(info.get_default(call_default_factory=True))
        if field == "ledger_url":
            value = _without_password(value)
        rows.append({"name": variable_name(field), "value": value, "default": default, "meaning": info.description})
    if as_json:
        print_json(rows)
    else:
        print_table(("variable", "value", "default", "meaning"), [tuple(row.values()) for row in rows])
