"""Read the arguments of `i2v run`: a route or a model id, and inputs under the service's names or the project's. Pure.

The service's two generations of names and the project's own all mean the same inputs, so they become one brief, and the
brief becomes a plan like any other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.brief_reader import brief_from
from i2v_assets.briefs.yaml_reader import Document, read_document
from i2v_assets.cli.exit_codes import DataProblem, UsageProblem
from resources.messages import counted
from resources.schemas.endpoints import ENDPOINTS, family_route
from resources.schemas.inputs import Family, MediumKind, Route
from resources.schemas.live_schema import LiveSchema

MEDIA_KEYS: Final[Mapping[str, MediumKind]] = MappingProxyType(
    {
        "image_url": MediumKind.IMAGE,
        "images": MediumKind.IMAGE,
        "audio_url": MediumKind.AUDIO,
        "audios": MediumKind.AUDIO,
        "audio": MediumKind.AUDIO,
        "video_url": MediumKind.VIDEO,
        "videos": MediumKind.VIDEO,
    }
)
"""Every name of a media field, the service's and the project's."""

RENAMED: Final[Mapping[str, str]] = MappingProxyType({"enable_prompt_expansion": "prompt_expansion"})

_SAME_WORD: Final = frozenset({"prompt", "seed", "motion", "fit", "background"})
"""Keys that mean the same for every model; all others of a live model are looked up in its schema."""

_VOICE: Final = "voice"
"""What becomes of a voice that one request does not take."""

NOT_HERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "takes": "`i2v run` makes one generation; another `seed` makes another one.",
        "choose": "`i2v run` makes one generation.",
        "dub": "Upload a folder with a brief.yaml for that.",
        "shots": "Upload a folder with a brief.yaml for that.",
        "may_be_silent": "`i2v run` judges no video.",
        "reroll": "Upload a folder with a brief.yaml for that.",
        "priority": "It starts at once.",
        "needs_approval": "Running it is the approval.",
        "end_image_url": "Upload a folder with a brief.yaml that names it under `end_image`.",
        **dict.fromkeys(("end_image", "loop", "music", "narration"), "Upload a folder with a brief.yaml for that."),
    }
)
"""Keys of a brief that mean nothing here, with what to do instead."""

BRIEF_FIELDS: Final[Mapping[MediumKind, str]] = MappingProxyType(
    {MediumKind.IMAGE: "images", MediumKind.AUDIO: "audio", MediumKind.VIDEO: "videos"}
)


@dataclass(frozen=True)
class Target:
    """What to run; ``family`` and ``model_id`` are None if only a route was named.

    ``route`` is None for a model that is used by its live schema: the media decide.
    """

    route: Route | None
    family: Family | None = None
    model_id: str | None = None


@dataclass(frozen=True)
class Source:
    """One medium: an address, or a file of this machine; ``field`` is the model's own field that it was given for."""

    kind: MediumKind
    where: str
    is_file: bool = False
    role: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class RunInput:
    """The inputs: media, and the other fields under the project's names.

    ``inputs`` are a live model's own fields, among them media until `with_schema` has told them apart.
    """

    fields: Mapping[str, Any]
    media: tuple[Source, ...]
    notes: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def with_schema(self, schema: LiveSchema) -> "RunInput":
        """Return the inputs of a live model with its media fields as media.

        Raises:
            DataProblem: a media field holds no address.
        """
        own = {media.name for media in schema.media}
        media: list[Source] = []
        for key, value in self.inputs.items():
            parts = value if isinstance(value, list) else [value]
            if key in own:
                media += [replace(_source(key, part, schema), field=key) for part in parts]
            elif key in MEDIA_KEYS and key not in schema.properties:
                media += [_source(key, part) for part in parts]
        rest = {
            key: value
            for key, value in self.inputs.items()
            if key not in own and (key in schema.properties or key not in MEDIA_KEYS)
        }
        fields = dict(self.fields)
        if _VOICE not in schema.properties and _VOICE in rest:  # the brief's key, not a field of the model
            fields[_VOICE] = rest.pop(_VOICE)
        return replace(self, fields=fields, media=(*media, *self.media), inputs=rest)

    def brief(self, target: Target, names: Sequence[str]) -> Brief:
        """Return the brief of these inputs.

        Args:
            target: What is run.
            names: What each medium is called, in the order of ``media``.

        Raises:
            BriefError: a value is wrong; says which.
        """
        data: dict[str, Any] = dict(self.fields)
        if target.route is not None:
            data["route"] = target.route.value
        inputs = dict(self.inputs)
        for source, name in zip(self.media, names, strict=True):
            if source.field is not None:
                inputs[source.field] = [*inputs.get(source.field, ()), name]
        if inputs:
            data["inputs"] = inputs
        for kind, key in BRIEF_FIELDS.items():
            refs = [
                {"file": name, **({"role": source.role} if source.role else {})}
                for source, name in zip(self.media, names, strict=True)
                if source.kind is kind
            ]
            if refs:
                data[key] = refs
        if target.family is not None:
            data["model"] = target.family
        return brief_from(Document(data), "the input")


_OF_AN_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def read_target(name: str) -> Target:
    """Return the route or the endpoint of a name. An id that the code does not know is used by its live schema.

    Raises:
        UsageProblem: it is neither; lists both.
    """
    plain = name.strip()
    if plain.replace("-", "_").lower() in list(Route):
        return Target(Route(plain.replace("-", "_").lower()))
    endpoint = ENDPOINTS.get(plain)
    if endpoint is None and "/" in plain and all(part and set(part) <= _OF_AN_ID for part in plain.split("/")):
        return Target(None, plain, plain)
    if endpoint is None:
        ids = "\n".join(f"    {model_id}" for model_id in ENDPOINTS)
        raise UsageProblem(
            f"{name!r} is neither a route nor a model id.",
            remedy=f"Routes: {', '.join(Route)}. Model ids:\n{ids}",
        )
    return Target(family_route(endpoint.family), endpoint.family, endpoint.model_id)


def read_input(text: str, target: Target) -> RunInput:
    """Return the inputs from JSON.

    Raises:
        DocumentError: it is not a JSON object.
        DataProblem: a key or a media entry cannot be used.
    """
    data = dict(read_document(text, "the input", "json").data)
    said = data.pop("route", None)
    if said is not None and target.route is not None and str(said).strip().lower() != target.route:
        raise DataProblem(f"The input says `route: {said}`, and {target.route} is to be run.", remedy="Leave one out.")
    fields: dict[str, Any] = {}
    media: list[Source] = []
    notes: list[str] = []
    inputs: dict[str, Any] = {}
    for key, value in data.items():
        if value is None or value == []:
            continue
        live = target.route is None
        if key in NOT_HERE and not (live and key not in Brief.model_fields):
            raise DataProblem(f"The input has `{key}`.", remedy=NOT_HERE[key])
        if live and key not in _SAME_WORD:
            inputs[key] = value
        elif key in MEDIA_KEYS:
            media += [_source(key, part) for part in (value if isinstance(value, list) else [value])]
        elif key == "seed" and value == 0 and not isinstance(value, bool):
            notes.append(
                "seed 0 is random at the service; a derived one is used, so that a second run does not pay again."
            )
        elif RENAMED.get(key, key) in fields:
            raise DataProblem(f"The input says `{RENAMED.get(key, key)}` twice.", remedy="Leave one out.")
        else:
            fields[RENAMED.get(key, key)] = value
    return RunInput(fields, tuple(media), tuple(notes), inputs)


def check_media(target: Target, media: Sequence[Source]) -> None:
    """Raise unless the media fit the route; the remedy names the options that give them.

    Raises:
        DataProblem: a medium is missing, or there is one too many.
    """
    counts = {kind: sum(source.kind is kind for source in media) for kind in MediumKind}
    images, sounds, videos = (counts[kind] for kind in (MediumKind.IMAGE, MediumKind.AUDIO, MediumKind.VIDEO))
    given = f"given: {counted(images, 'image')}, {counted(sounds, 'sound')}, {counted(videos, 'video')}."
    if target.route is Route.ANIMATE and (images != 1 or sounds or videos):
        raise DataProblem(
            f"animate takes exactly one image and nothing else; {given}",
            remedy="Give it with --image FILE, or as `image_url` in --input.",
        )
    if target.route is Route.LIP_SYNC and (sounds != 1 or images > 1 or videos):
        raise DataProblem(
            f"lip_sync takes exactly one sound, and one image at most; {given}",
            remedy="Give them with --audio FILE and --image FILE, or as `audio_url` and `image_url` in --input.",
        )
    if not media:
        raise DataProblem(
            f"{target.route or target.model_id} needs an image, a sound or a video; {given}",
            remedy="Give them with --image, --audio and --video FILE, or as `images`, `audios` and `videos` in --input.",
        )


def _source(key: str, part: object, schema: LiveSchema | None = None) -> Source:
    kinds = {media.name: media.kind for media in schema.media} if schema is not None else MEDIA_KEYS
    role = None
    if isinstance(part, dict) and set(part) <= {"file", "url", "role"}:
        role = str(part["role"]) if part.get("role") else None
        part = part.get("url", part.get("file"))
    if not isinstance(part, str) or not part.strip():
        raise DataProblem(f"`{key}` holds {json.dumps(part)[:60]}.", remedy="Write an https address.")
    flag = kinds[key].value
    if "://" not in part:
        # A file named in a document could be any file of this machine; a flag is typed by the person who runs it.
        what = "a data: address" if part.startswith("data:") else "no address"
        raise DataProblem(
            f"`{key}` holds {what}.",
            remedy=f"Write an https address, or give a file of this machine with --{flag} FILE.",
        )
    return Source(kinds[key], part.strip(), role=role)
