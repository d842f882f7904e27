"""`i2v login`, `logout`, `whoami` and `balance`: the account."""

import asyncio
from typing import Annotated

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.operations.budget import budget_today
from i2v_assets.session import open_client, open_session
from resources.errors import I2VError
from resources.money import dollars
from resources.runcomfy.credentials import delete_token, require_token, token_path, variable_in_force, write_token
from resources.runcomfy.errors import LoginFailed
from resources.runcomfy.login import LoginPrompt
from resources.runcomfy.login import login as device_login
from resources.runcomfy.wire import Account, Balance
from resources.settings import Settings, load_settings

app = typer.Typer()


@app.command()
def login(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page; or only print it.")] = True,
    as_json: AsJson = False,
) -> None:
    """Sign in at RunComfy: confirm a code in the browser, and the token is kept for the next time.

    The token file is the vendor's own (`~/.config/runcomfy/token.json`), so that both tools share one login.

        i2v login

        i2v login --no-browser      # on a server: open the page elsewhere
    """
    settings = load_settings()

    def show(prompt: LoginPrompt) -> None:
        err.print(f"Open this page and confirm the code {prompt.user_code}:", markup=False, highlight=False)
        err.print(f"  {prompt.verify_url}", markup=False, highlight=False)
        if browser:
            typer.launch(prompt.verify_url)
        err.print(f"Waiting for the confirmation (at most {prompt.expires_in_seconds / 60:.0f} minutes) ...")

    token = asyncio.run(device_login(settings.runcomfy_web_base, service=settings.service, show=show))
    # The account's name is a courtesy; a token that was just given is kept whether or not it can be asked.
    signed_in = settings.model_copy(update={"runcomfy_token": token})
    email = asyncio.run(_email(signed_in))
    try:
        path = write_token(settings, token, user_email=email)
    except OSError as error:
        raise LoginFailed(
            f"The token could not be written: {error.strerror or type(error).__name__}.",
            remedy="Set RUNCOMFY_CONFIG_DIR to a folder of yours.",
        ) from None
    if (name := variable_in_force(settings)) is not None:
        err.print(f"{name} is set and wins over this login; unset it to use the new token.")
    if as_json:
        print_json({"signed_in": True, "email": email, "token_file": str(path)})
    else:
        out.print(f"Signed in{f' as {email}' if email else ''}. The token is in {path}.", markup=False, highlight=False)


async def _email(settings: Settings) -> str | None:
    try:
        async with open_client(settings) as client:
            return (await client.account()).email
    except I2VError:
        return None


@app.command()
def logout(as_json: AsJson = False) -> None:
    """Delete the kept token.

    It stays valid at RunComfy until it is revoked there.
    """
    settings = load_settings()
    removed = delete_token(settings)
    if (name := variable_in_force(settings)) is not None:
        err.print(f"{name} is set in the environment and still in force; unset it too.")
    if as_json:
        print_json({"removed": removed, "token_file": str(token_path(settings))})
    else:
        out.print("Signed out." if removed else "You were not signed in.")


@app.command()
def whoami(as_json: AsJson = False) -> None:
    """Show whose token is in force, and where it comes from."""
    settings = load_settings()
    require_token(settings)
    account = asyncio.run(_account(settings))
    origin = variable_in_force(settings) or str(token_path(settings))
    if as_json:
        print_json({"id": account.user_id, "email": account.email, "service": settings.service, "token_from": origin})
        return
    out.print(f"{account.email or account.user_id} at {settings.service}", markup=False, highlight=False)
    err.print(f"The token comes from {origin}.", markup=False, highlight=False)


async def _account(settings: Settings) -> Account:
    async with open_client(settings) as client:
        return await client.account()


@app.command()
def balance(as_json: AsJson = False) -> None:
    """Show what is left on the account, and of today's budget."""
    settings = load_settings()
    left = asyncio.run(_balance(settings))
    with open_session() as session:
        today = budget_today(session)
    if as_json:
        print_json({"service": settings.service, "balance_microdollars": left.microdollars, "today": today.plain()})
        return
    out.print(f"{dollars(left.microdollars)} at {settings.service}", markup=False, highlight=False)
    err.print(today.text, markup=False, highlight=False)


async def _balance(settings: Settings) -> Balance:
    async with open_client(settings) as client:
        return await client.balance()
