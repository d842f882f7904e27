"""Every environment variable of the project, in one table.

There are three kinds of names. ``I2V_*`` are the project's own. ``RUNCOMFY_*`` are read by the vendor's command-line
tool and kept, so that one environment serves both. S3 is configured by boto3's own chain (``AWS_ENDPOINT_URL_S3``,
``AWS_PROFILE``, roles), which is not part of this table.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from resources.errors import SettingsError
from resources.own_origin import parse_hosts
from resources.schemas.inputs import Route, Service

USD = 1_000_000
"""Micro-dollars in a US dollar; all money is integer micro-dollars."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
"""The only hosts that may receive the token over plain http."""


def is_loopback(url: str) -> bool:
    """Return True if the URL's host is one of `LOOPBACK_HOSTS`."""
    return (urlsplit(url).hostname or "") in LOOPBACK_HOSTS


LEDGER_FILE = "ledger.sqlite"
"""The ledger's file in the data folder."""


def data_home() -> Path:
    """Return the data folder of the paid service: below $XDG_DATA_HOME (XDG Base Directory Specification 0.8)."""
    home = Path(os.environ.get("XDG_DATA_HOME") or "")
    return (home if home.is_absolute() else Path.home() / ".local" / "share") / "i2v-assets"


def _vendor(name: str) -> AliasChoices:
    return AliasChoices(name)


Seconds = Annotated[float, Field(ge=0)]
Dollars = Annotated[float, Field(ge=0)]


class Settings(BaseSettings):
    """Defaults, units and meanings of every variable; ``i2v settings`` prints this table with the current values."""

    model_config = SettingsConfigDict(
        env_prefix="I2V_",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,  # `I2V_DATA_DIR=` means unset, not the working folder
    )

    # The service
    service: Service = Field(
        "runcomfy", description="who makes the videos: `runcomfy` (paid) or `sandbox` (local, free)"
    )
    runcomfy_token: SecretStr | None = Field(
        None, validation_alias=_vendor("RUNCOMFY_TOKEN"), description="API token; overrides the vendor's token file"
    )
    runcomfy_api_token: SecretStr | None = Field(
        None,
        validation_alias=_vendor("RUNCOMFY_API_TOKEN"),
        description="API token where RUNCOMFY_TOKEN is not set; a name of the vendor's own nodes",
    )
    runcomfy_api_key: SecretStr | None = Field(
        None,
        validation_alias=_vendor("RUNCOMFY_API_KEY"),
        description="API token where neither of the two before is set; a name of the vendor's own nodes",
    )
    runcomfy_config_dir: Path | None = Field(
        None, validation_alias=_vendor("RUNCOMFY_CONFIG_DIR"), description="folder of the vendor's token file"
    )
    runcomfy_model_api_base: str = Field(
        "https://model-api.runcomfy.net/v1",
        validation_alias=_vendor("RUNCOMFY_MODEL_API_BASE"),
        description="base URL of the Model API, with /v1",
    )
    runcomfy_serverless_api_base: str = Field(
        "https://api.runcomfy.net/prod/v2",
        validation_alias=_vendor("RUNCOMFY_SERVERLESS_API_BASE"),
        description="base URL of the balance call, with /prod/v2",
    )
    runcomfy_web_base: str = Field(
        "https://www.runcomfy.com",
        validation_alias=_vendor("RUNCOMFY_WEB_BASE"),
        description="base URL of the device login",
    )
    model_ids: dict[str, str] = Field(
        default_factory=dict,
        description='pins an endpoint family to one model id, as JSON: {"seedance-2.0/pro": "bytedance/seedance-2.0/pro"}',
    )
    routes: dict[Route, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        description=(
            'families or model ids that a route prefers, best first, as JSON: {"animate": ["happyhorse-1.1",'
            ' "happyhorse-1.0"]}; the documented ones if empty'
        ),
    )

    # Where things are
    bucket: str = Field("", description="name of the S3 bucket; empty: `i2v` in the sandbox, none for the paid service")
    data_dir: Path = Field(
        Path(),
        description="folder for the ledger and embedded servers, absolute for the paid service; empty: `.i2v` in the"
        " sandbox, $XDG_DATA_HOME/i2v-assets (~/.local/share/i2v-assets) for the paid service",
    )
    ledger_url: str = Field(
        "",
        description="SQLAlchemy URL of the ledger, e.g. postgresql+psycopg://... to share it; empty: SQLite in the data folder",
    )
    video_link_base: str = Field(
        "", description="URL under which people open bucket keys from the Dagster UI; empty: no links, keys only"
    )
    command: str = Field(
        "i2v", description="how people call `i2v` here, for the commands in answers; `make dev` sets its own"
    )
    ui_url: str = Field("", description="URL of the Dagster UI, for links in alerts")
    ui_hosts: str = Field(
        "",
        description="host names, with commas, under which the Dagster UI and the metrics answer beside this machine's own",
    )

    # Runs and waiting
    clips_per_run: int = Field(100, ge=1, le=1000, description="maximum clips in one Dagster run")
    max_in_flight: int = Field(200, ge=1, description="maximum requests at the service at once, over the whole fleet")
    deadline_seconds: Seconds = Field(
        1800, gt=0, description="how long a run waits for one request before it leaves the request for later adoption"
    )
    lease_seconds: Seconds = Field(
        60,
        gt=0,
        le=3600,
        description="time without a heartbeat after which a run counts as dead and its requests may be adopted",
    )
    settle_seconds: Seconds = Field(
        30, description=("how long an upload's files must stay unchanged before the upload counts as complete")
    )
    sensor_seconds: int = Field(15, ge=1, description="shortest interval between two scans of the uploads")
    max_upload_bytes: int = Field(
        2 * 1024**3, ge=1, description="largest accepted upload, in bytes; larger files are refused unread"
    )
    loose_images: Literal["order", "approve", "ignore"] = Field(
        "order", description="images that no document names: `order` each, `approve` asks for each, or `ignore` them"
    )
    ignore_uploads: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names of uploads to ignore, separated by commas, with * and ?: `*-thumb.jpg, old/`"
    )
    presign_seconds: int = Field(
        3600,
        ge=60,
        le=604_800,
        description="lifetime of the presigned input URLs, made at submit; must be longer than the service's queue",
    )
    inline_input_bytes: int = Field(
        0, ge=0, le=6 * 1024**2, description="inputs up to this size are sent as data: URIs (undocumented); 0: never"
    )

    # Money
    budget_usd_per_day: Dollars = Field(25, description="maximum dollars per day, reserved or settled")
    budget_requests_per_day: int = Field(500, ge=0, description="maximum paid requests per day")
    budget_usd_per_run: Dollars = Field(25, description="maximum dollars in one run")
    budget_requests_per_run: int = Field(500, ge=0, description="maximum paid requests in one run")
    sandbox_budget_usd_per_day: Dollars = Field(
        1000, description="the sandbox's own maximum dollars per day (play money)"
    )
    sandbox_budget_requests_per_day: int = Field(
        100_000, ge=0, description=("the sandbox's own maximum requests per day")
    )
    timezone: str = Field("UTC", description="time zone of the budget's day, the schedules and the night window")
    price_headroom: float = Field(
        2.0,
        ge=1,
        le=100,
        description="what a clip may cost at most, as a multiple of the catalogue's base price, until 10 like it are settled",
    )
    allow_unknown_price: bool = Field(False, description="submit even if the price cannot be read")
    require_approval: bool = Field(
        False, description=("hold every clip until a person approves it with `i2v approve` or materializes it")
    )
    approve_above_usd: Dollars = Field(
        20,
        description=(
            "loose clips of one folder that together cost more than this within an hour wait as one approval; not in the"
            " sandbox, nor where budget_usd_per_day is set"
        ),
    )
    bucket_commands: bool | None = Field(
        None,
        description=(
            "carry out the files `uploads/_do/approve-<clip>` and `cancel-<clip>`: whoever may write to the bucket may then"
            " approve what costs money; empty: on in the sandbox, off for the paid service"
        ),
    )
    on_unknown: Literal["hold", "resubmit"] = Field(
        "hold",
        description="what to do if a submit's outcome is unknown: `hold` for a person, or `resubmit` (may pay twice)",
    )
    resubmit_cap: int = Field(1, ge=0, description="with on_unknown=resubmit: maximum resubmissions of one request")
    max_attempts: int = Field(
        3, ge=1, description="maximum attempts of one request after failures that the service reported"
    )
    generate_only: str = Field(
        "", description="window for paid work such as 22:00-06:00 (in `timezone`); empty: always"
    )

    # Defaults for what a brief does not set
    watermark: bool = Field(
        False, description="the service's watermark; always sent, because its default differs by source"
    )
    keep_face: Literal["auto", "always", "never"] = Field(
        "auto", description="lip-sync clips with an image use the endpoint that shows that person"
    )
    prepare: bool = Field(
        True, description="convert files that the models do not take (HEIC, M4A, CMYK, ...); off: refuse them"
    )
    presets_file: str = Field("", description="YAML file that overrides motion presets; empty: the built-in ones")
    price_max_age_seconds: Seconds = Field(300, description="how long a price from the catalogue stays valid")

    # Quality
    measure: bool = Field(True, description="measure each video after the download")
    quality: dict[str, Any] = Field(
        default_factory=dict,
        description='overrides of the quality limits, as JSON: {"seconds_off": 0.3} (docs/quality.md)',
    )
    previews: bool = Field(True, description="make posters and previews")

    # Provenance
    c2pa_certificate: str = Field("", description="PEM chain that signs videos, signer first; empty: unsigned")
    c2pa_key: str = Field("", description="PEM key (PKCS#8, no password) of the C2PA certificate")
    c2pa_timestamp_url: str = Field(
        "", description="RFC 3161 authority that timestamps signatures; empty: they expire with the certificate"
    )

    # Overnight
    uploads_from: Literal["listing", "queue"] = Field("listing", description="how new uploads are detected")
    upload_queue_url: str = Field("", description="SQS queue with the bucket's event notifications")
    archive_after_days: int = Field(
        0, ge=0, description="age at which delivered clips leave the UI's partitions; 0: never"
    )
    warn_after_minutes: int = Field(720, ge=1, description="a clip that waits longer than this raises a warning check")
    retries_per_clip: int = Field(1, ge=0, description="automatic retries of a failed clip by the nightly schedule")
    alert_webhook: SecretStr | None = Field(None, description="Slack-compatible webhook for failures")
    log_json: bool = Field(False, description="log lines as JSON, with clip, request and run ids")

    @field_validator("ignore_uploads", mode="before")
    @classmethod
    def _split_patterns(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time zone; use a name such as Europe/Berlin") from error
        return value

    @field_validator("ui_hosts")
    @classmethod
    def _host_names(cls, value: str) -> str:
        if value:
            parse_hosts(value)
        return value

    @model_validator(mode="after")
    def _service_and_base_agree(self) -> Self:
        """Refuse a sandbox service with a remote address, and the real service with a local one."""
        loopback = is_loopback(self.runcomfy_model_api_base)
        if self.is_sandbox and not loopback:
            raise ValueError(
                "I2V_SERVICE=sandbox needs RUNCOMFY_MODEL_API_BASE to be a sandbox on this machine. Start one with"
                " `i2v sandbox`, or use `make dev`"
            )
        if self.service == "runcomfy" and not self.runcomfy_model_api_base.startswith("https://"):
            raise ValueError(
                "I2V_SERVICE=runcomfy needs an https RUNCOMFY_MODEL_API_BASE. Set I2V_SERVICE=sandbox for a local"
                " sandbox"
            )
        return self

    @property
    def heap_limit_microdollars(self) -> int | None:
        """Return from which sum on loose clips ask; None if they never do.

        In the sandbox nothing is paid; who sets a day's budget has decided what a mistake may cost.
        """
        if self.is_sandbox or "budget_usd_per_day" in self.model_fields_set:
            return None
        return round(self.approve_above_usd * USD)

    @property
    def takes_bucket_commands(self) -> bool:
        """Return whether commands in the bucket are carried out."""
        return self.is_sandbox if self.bucket_commands is None else self.bucket_commands

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        """The paid service has one ledger and one bucket, whichever folder a command is run in."""
        paid, given = self.service == "runcomfy", self.data_dir != Path()
        if paid and given and not self.data_dir.expanduser().is_absolute():
            raise ValueError(
                "I2V_DATA_DIR has to be absolute for the paid service, or each working folder would have a ledger of its"
                f" own; set it to {self.data_dir.absolute()} to keep using that folder"
            )
        values = self.__dict__  # frozen for everybody else
        values["data_dir"] = self.data_dir.expanduser() if given else data_home() if paid else Path(".i2v")
        values["bucket"] = self.bucket or ("" if paid else "i2v")
        return self

    @property
    def required_bucket(self) -> str:
        """The bucket's name.

        Raises:
            SettingsError: none is set, and the paid service has no default.
        """
        if not self.bucket:
            raise SettingsError(
                "I2V_BUCKET is not set, and the paid service has no default bucket.",
                remedy="Set I2V_BUCKET to the bucket that holds, or is to hold, the videos.",
            )
        return self.bucket

    @cached_property
    def ledger_address(self) -> str:
        """The ledger's SQLAlchemy URL.

        Raises:
            SettingsError: a ledger of the paid service lies in the working folder, and another is in use or about to be.
        """
        return self.ledger_url or f"sqlite:///{self._ledger_file()}"

    def _ledger_file(self) -> Path:
        """A paid ledger in ``./.i2v``, where earlier versions kept it, is used; none is begun beside it."""
        from resources.ledger.sqlite_file import holds_requests

        own = (self.data_dir / LEDGER_FILE).absolute()
        before = (Path(".i2v") / LEDGER_FILE).absolute()
        if self.service != "runcomfy" or before == own or not holds_requests(before, self.service):
            return own
        chosen = "data_dir" in self.model_fields_set
        if chosen and own.exists():
            return own
        if not chosen and not own.exists():
            return before
        where = f"{own}, where there is none" if chosen else f"the default {own}"
        raise SettingsError(
            f"{before} is a ledger of the paid service, and the settings lead to {where}.",
            remedy=f"Set I2V_DATA_DIR to {before.parent} to go on with it, or stop every run and move it to {own.parent}.",
            context={"ledger": str(before)},
        )

    @property
    def is_sandbox(self) -> bool:
        """Return True if the videos are drawn for testing."""
        return self.service == "sandbox"

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone of `timezone`."""
        return ZoneInfo(self.timezone)


def load_settings() -> Settings:
    """Return the settings from the environment alone; the programs that start processes load a `.env` file.

    Raises:
        SettingsError: a variable is malformed or contradicts another; all of them are named.
    """
    try:
        return Settings()
    except UnreadableVariable as error:  # raised before validation, for variables that hold JSON
        field = re.search(r'field "(\w+)"', str(error))
        name = variable_name(field[1]) if field else "a variable"
        raise SettingsError(
            f"Settings: {name} is not JSON ({error.__cause__}).",
            remedy="In a shell, put the whole value in single quotes: I2V_QUALITY='{\"seconds_off\": 0.3}'.",
        ) from None
    except ValidationError as error:
        problems = "; ".join(_problem(part["loc"], part["msg"]) for part in error.errors())
        raise SettingsError(f"Settings: {problems}.", remedy="`i2v settings` lists every variable.") from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    """Return what is wrong with which variable; a message about several variables names them itself."""
    words = message.removeprefix("Value error, ").rstrip(".")
    return f"{variable_name(str(location[0]))}: {words}" if location else words


def read_ui_hosts() -> frozenset[str]:
    """Return the names of I2V_UI_HOSTS alone, for processes that have no other setting.

    Raises:
        SettingsError: a part of the variable is not a host name.
    """
    name = variable_name("ui_hosts")
    try:
        return parse_hosts(os.environ.get(name, ""))
    except ValueError as error:
        raise SettingsError(f"Settings: {name}: {error}.", remedy="`i2v settings` lists every variable.") from None


def variable_name(field: str) -> str:
    """Return the environment variable of a field."""
    info = Settings.model_fields.get(field)
    if info is not None and isinstance(info.validation_alias, AliasChoices):
        return str(info.validation_alias.choices[0])
    return f"I2V_{field.upper()}"
