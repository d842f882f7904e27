"""`i2v service`: what the service asked of the whole fleet, and how a person takes it back."""

import typer

from i2v_assets.cli.console import AsJson, out, print_json
from i2v_assets.session import open_session

app = typer.Typer(name="service", no_args_is_help=True, help="What the service asked of the whole fleet.")


@app.callback()
def service() -> None:
    """Keep `resume` a command of its own."""


@app.command()
def resume(as_json: AsJson = False) -> None:
    """End the pause that the service asked for (429 with Retry-After), for all processes; they notice within seconds.

    A pause lasts 15 minutes at most, and ends by itself. Costs nothing.

        i2v service resume
    """
    with open_session() as session:
        name = session.settings.service
        left = session.ledger.resume(name)
    if as_json:
        print_json({"service": name, "seconds_left": round(left, 1)})
    elif left > 0:
        out.print(f"Calls to {name} go on; {left:.0f} s of the pause were left.")
    else:
        out.print(f"There is no pause: calls to {name} go on.")
