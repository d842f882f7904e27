"""`i2v ledger join`, `rebuild`, `import` and `restored`: what to do when the ledger is not the one that was written."""

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2v_assets.cli.console import err, out, print_json, print_table
from i2v_assets.cli.exit_codes import NoInput, UsageProblem
from i2v_assets.session import open_bucket
from resources.messages import counted

if TYPE_CHECKING:
    from i2v_assets.operations.recovery import Recovered

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
SHORT = 12
"""Characters of a fingerprint that tables show."""


def add_to(app: typer.Typer) -> None:
    """Add the commands to `i2v ledger`."""
    app.command("join")(join_command)
    app.command("rebuild")(rebuild_command)
    app.command("import")(import_command)
    app.command("restored")(restored_command)


def join_command(as_json: AsJson = False) -> None:
    """Go on with this ledger in a bucket that belongs to another one, which is retired.

    The bucket's records are read in first. A retired ledger submits nothing. Two machines that work at once need one
    Postgres instead (I2V_LEDGER_URL).
    """
    from i2v_assets.operations.recovery import join
    from resources.settings import load_settings

    settings = load_settings()
    _tell(join(settings, open_bucket(settings)), as_json=as_json)


def rebuild_command(as_json: AsJson = False) -> None:
    """Make a ledger out of the bucket's records, manifests and videos, if the ledger is lost, empty or damaged.

    Nothing is sent. A submit that was cut off is held as unknown, as after a crash: `i2v ledger resolve` settles it.
    """
    from i2v_assets.operations.recovery import rebuild
    from resources.settings import load_settings

    settings = load_settings()
    _tell(rebuild(settings, open_bucket(settings)), as_json=as_json)


def import_command(
    file: Annotated[str, typer.Argument(help="What `i2v ledger export` wrote; - is standard input.")],
    as_json: AsJson = False,
) -> None:
    """Fill an empty ledger from an export. It may be older than the bucket: run `i2v ledger restored` next."""
    from i2v_assets.operations.recovery import import_export
    from resources.settings import load_settings

    with ExitStack() as stack:
        try:
            lines = sys.stdin if file == "-" else stack.enter_context(Path(file).open(encoding="utf-8"))
            name, counts = import_export(load_settings(), lines)
        except OSError as error:
            raise NoInput(f"{file} cannot be read: {error.strerror or type(error).__name__}.") from None
        except UnicodeDecodeError:
            raise UsageProblem(f"{file} is not UTF-8 text.", remedy="Give what `i2v ledger export` wrote.") from None
    if as_json:
        print_json({"ledger": name, "imported": dict(counts)})
        return
    words = ", ".join(f"{counts[kind]} {kind}" for kind in ("requests", "submissions", "events", "approvals"))
    out.print(f"Imported into {name}: {words}.", markup=False, highlight=False)
    err.print(
        "What happened after the export is in the bucket: run `i2v ledger restored` before anything is submitted."
    )


def restored_command(as_json: AsJson = False) -> None:
    """Check a ledger that came from a backup, before anything is started.

    Approvals and further takes from before the backup that were not made end: approve and ask again. Then the ledger takes
    from the bucket what was claimed, sent and delivered after the backup, and lists it.
    """
    from i2v_assets.operations.recovery import restored
    from resources.settings import load_settings

    settings = load_settings()
    _tell(restored(settings, open_bucket(settings)), as_json=as_json)


def _tell(done: "Recovered", *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(done), "aside": None if done.aside is None else str(done.aside)})
        return
    lines = [f"Ledger: {done.ledger}."]
    if done.aside is not None:
        lines.append(f"The file that was there is now {done.aside}.")
    if done.retired is not None:
        lines.append(f"Ledger {done.retired[:8]} is retired: it submits nothing any more.")
    if done.approvals:
        lines.append(f"{counted(done.approvals, 'approval')} ended, since nothing was made of them yet.")
    if done.takes:
        lines.append(f"Further takes that were asked for and not made were taken back: {', '.join(done.takes)}.")
    lines.append(f"{counted(len(done.light), 'request')} came to light.")
    for line in lines:
        out.print(line, markup=False, highlight=False)
    if done.light:
        print_table(
            ("fingerprint", "clip", "before", "now", "request", "because"),
            [(r.fingerprint[:SHORT], r.clip, r.before or "", r.after, r.request_id, r.reason) for r in done.light],
        )
    if done.unknown:
        err.print(
            f"{counted(done.unknown, 'request')} with an unknown outcome: look each up in the service's web console, then"
            " `i2v ledger resolve`.",
            highlight=False,
        )
