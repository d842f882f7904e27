"""`i2v gallery`: show the gallery of a private bucket in this machine's browser."""

import socket
import threading
import time
from typing import Annotated

import typer

from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import TryLater
from i2v_assets.session import open_bucket
from resources.devservers.start import free_port
from resources.settings import load_settings
from resources.storage.link_server import serve_links

app = typer.Typer()

PAGE = "gallery/index.html"


@app.command()
def gallery(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the gallery on this machine until Ctrl-C, so that nothing has to be public.

    Only finished work is served (clips, videos, sequences, the gallery itself), never the uploads.

        i2v gallery --open
    """
    bucket = open_bucket(load_settings())
    if bucket.head(PAGE) is None:
        raise TryLater(
            "There is no gallery in the bucket yet.",
            remedy="Materialize the asset `gallery` in the Dagster UI; its schedule makes it too.",
        )
    chosen = port or free_port()
    address = f"http://127.0.0.1:{chosen}/{PAGE}"
    if as_json:
        print_json({"url": address})
        out.file.flush()
    else:
        out.print(address, markup=False, highlight=False)
    err.print("Ctrl-C ends it.")
    if open_browser:
        threading.Thread(target=_open, args=(address, chosen), daemon=True).start()
    try:
        serve_links(bucket, chosen)
    except KeyboardInterrupt:
        err.print("Stopped.")
    except SystemExit:
        raise TryLater(f"Port {chosen} is taken.", remedy="Leave out --port, or name another one.") from None


def _open(address: str, port: int) -> None:
    """Open the page once the server listens."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            typer.launch(address)
            return
