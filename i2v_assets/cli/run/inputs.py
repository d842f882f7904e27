"""Read the arguments of `i2v run`: a route or a model id, and inputs under the service's names or the project's. Pure.

The service's two generations of names and the project's own all mean the same inputs, so they become one brief, and the
brief becomes a plan like any other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from i2v_assets.briefs.brief import Brief, brief_from
from i2v_assets.briefs.yaml_reader import Document, read_document
from i2v_assets.cli.exit_codes import DataProblem, UsageProblem
from resources.plurals import counted
from resources.schemas.endpoints import ENDPOINTS, family_route
from resources.schemas.inputs import Family, MediumKind, Route

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
    """What to run; ``family`` and ``model_id`` are None if only a route was named."""

    route: Route
    family: Family | None = None
    model_id: str | None = None


@dataclass(frozen=True)
class Source:
    """One medium: an address, or a file of this machine."""

    kind: MediumKind
    where: str
    is_file: bool = False
    role: str | None = None


@dataclass(frozen=True)
class RunInput:
    """The inputs: media, and the other fields under the project's names."""

    fields: Mapping[str, Any]
    media: tuple[Source, ...]
    notes: tuple[str, ...] = ()

    def brief(self, target: Target, names: Sequence[str]) -> Brief:
        """Return the brief of these inputs.

        Args:
            target: What is run.
            names: What each medium is called, in the order of ``media``.

        Raises:
            BriefError: a value is wrong; says which.
        """
        data: dict[str, Any] = {**self.fields, "route": target.route.value}
        for kind, field in BRIEF_FIELDS.items():
            refs = [
                {"file": name, **({"role": source.role} if source.role else {})}
                for source, name in zip(self.media, names, strict=True)
                if source.kind is kind
            ]
            if refs:
                data[field] = refs
        if target.family is Family.WAN_T2V:
            data["keep_face"] = False
        elif target.family is Family.WAN_I2V:
            data["keep_face"] = True
        return brief_from(Document(data), "the input")


def read_target(name: str) -> Target:
    """Return the route or the endpoint of a name.

    Raises:
        UsageProblem: it is neither; lists both.
    """
    plain = name.strip()
    if plain.replace("-", "_").lower() in list(Route):
        return Target(Route(plain.replace("-", "_").lower()))
    endpoint = ENDPOINTS.get(plain)
    if endpoint is None:
        ids = "\n".join(f"    {model_id}" for model_id in ENDPOINTS)
        raise UsageProblem(
            f"{name!r} is neither a route nor a model id that a route uses.",
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
    if said is not None and str(said).strip().lower() != target.route:
        raise DataProblem(f"The input says `route: {said}`, and {target.route} is to be run.", remedy="Leave one out.")
    fields: dict[str, Any] = {}
    media: list[Source] = []
    notes: list[str] = []
    for key, value in data.items():
        if value is None or value == []:
            continue
        if key in NOT_HERE:
            raise DataProblem(f"The input has `{key}`.", remedy=NOT_HERE[key])
        if key in MEDIA_KEYS:
            media += [_source(key, part) for part in (value if isinstance(value, list) else [value])]
        elif key == "seed" and value == 0 and not isinstance(value, bool):
            notes.append(
                "seed 0 is random at the service; a derived one is used, so that a second run does not pay again."
            )
        elif RENAMED.get(key, key) in fields:
            raise DataProblem(f"The input says `{RENAMED.get(key, key)}` twice.", remedy="Leave one out.")
        else:
            fields[RENAMED.get(key, key)] = value
    return RunInput(fields, tuple(media), tuple(notes))


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
            f"{target.route} needs an image, a sound or a video; {given}",
            remedy="Give them with --image, --audio and --video FILE, or as `images`, `audios` and `videos` in --input.",
        )


def _source(key: str, part: object) -> Source:
    role = None
    if isinstance(part, dict) and set(part) <= {"file", "url", "role"}:
        role = str(part["role"]) if part.get("role") else None
        part = part.get("url", part.get("file"))
    if not isinstance(part, str) or not part.strip():
        raise DataProblem(f"`{key}` holds {json.dumps(part)[:60]}.", remedy="Write an https address.")
    flag = MEDIA_KEYS[key].value
    if "://" not in part:
        # A file named in a document could be any file of this machine; a flag is typed by the person who runs it.
        what = "a data: address" if part.startswith("data:") else "no address"
        raise DataProblem(
            f"`{key}` holds {what}.",
            remedy=f"Write an https address, or give a file of this machine with --{flag} FILE.",
        )
    return Source(MEDIA_KEYS[key], part.strip(), role=role)
