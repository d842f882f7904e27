"""The commands of `i2v` by name, each imported when it is used: `i2v --help` imports none of them."""

import importlib
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("dev.commands", "Make videos of sample images in the sandbox, from start to end: no token, no money."),
    "dev": ("dev.commands", "Run the local services and the Dagster UI, with sensors and schedules on, until Ctrl-C."),
    "serve": (
        "serve",
        "Keep Dagster up for the service of the settings: the UI behind its guard, sensors, schedules and runs.",
    ),
    "sandbox": ("dev.commands", "Serve the Model API locally and render real, simple videos."),
    "upload": ("upload", "Put files into the bucket, where the upload sensor finds them."),
    "run": ("run.command", "Make one video now, from files or a JSON input, and print where it is."),
    "status": ("status", "Show how far the clips are, why those that wait do, and which uploads were refused."),
    "fetch": ("fetch", "Download videos of clips and films from the bucket, as NAME.mp4."),
    "plan": ("plan", "Show what would be made, by which model and at what price, before anything is paid."),
    "approve": ("plan", "Agree to pay for a plan, for clips or for a folder of uploads."),
    "cancel": ("stops", "Stop what is not sent yet, and cancel what still waits in the service's queue."),
    "pause": (
        "stops",
        "Let nothing more be sent that costs money, in every process, until `i2v resume`. What was sent is still fetched.",
    ),
    "resume": ("stops", "Let paid work go on after `i2v pause`."),
    "retry": (
        "clip_actions",
        "Make failed or cancelled clips again; what was charged for the failure is not refunded.",
    ),
    "retake": (
        "clip_actions",
        "Make another take of a clip with another seed: it is paid for, and kept beside the others.",
    ),
    "choose": ("clip_actions", "Choose which take is a clip's video; costs nothing."),
    "login": (
        "account",
        "Sign in at RunComfy: confirm a code in the browser, and the token is kept for the next time.",
    ),
    "logout": ("account", "Delete the kept token."),
    "whoami": ("account", "Show whose token is in force, and where it comes from."),
    "balance": ("account", "Show what is left on the account, and of today's budget."),
    "models": (
        "models",
        "Show which models a clip can be made with now, their prices, and how they differ from what was agreed to.",
    ),
    "ledger": ("ledger", "List, show, resolve, correct and export paid requests."),
    "service": ("service", "What the service asked of the whole fleet."),
    "verify": (
        "verify",
        "Prove that a video is what the ledger paid for: bytes, manifest, and signature if it has one.",
    ),
    "gallery": ("gallery", "Serve the gallery on this machine until Ctrl-C, so that nothing has to be public."),
    "metrics": ("metrics", "Serve the ledger's figures for Prometheus until Ctrl-C."),
    "doctor": ("doctor", "Check the token, the bucket, addresses, the ledger, the catalogue, clocks and the disk."),
    "settings": ("settings", "Show every variable with its value in force, default and meaning; secrets are masked."),
}
"""Command -> (module of this package, the first line of its help), in the order of the help. A test compares both."""


class LazyGroup(TyperGroup):
    """Import a command's module when the command is used, not when the commands are listed."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name, or only its line of help while the list is written."""
        if cmd_name not in COMMANDS:
            return None
        module, line = COMMANDS[cmd_name]
        if self._listing:
            return TyperCommand(cmd_name, help=line)
        loaded = importlib.import_module(f"i2v_assets.cli.{module}").app
        group = typer.main.get_group(loaded)
        return group if group.name == cmd_name else group.commands[cmd_name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help without importing any command."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False
