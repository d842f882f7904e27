"""The requests that wait for a person's word: what they say contradicts what would be sent. Pure.

A small table of codes. Each entry names the words or the measurement that speak against the clip as it would be made, and the
keys of the brief that settle it. `route:` settles all of them, and so does an approval, which makes the clip as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from i2v_assets.planning.first_and_last import becoming
from i2v_assets.planning.media_numbers import takes_from
from i2v_assets.planning.motions import motions_in
from i2v_assets.planning.named_files import absent_file
from i2v_assets.planning.names import folded, languages_in, names_person, names_somebody, words_of
from i2v_assets.planning.speaking import words_of_singing, words_of_speaking, words_of_unseen_voice
from i2v_assets.planning.vocabulary import Reading
from i2v_assets.uploads.media_order import names_first, names_last
from i2v_assets.uploads.roles import shown_name
from resources.messages import counted
from resources.schemas.inputs import MediumKind

SPEECH_SHARE = 0.2
"""Share of a sound in which a voice is heard from which it counts as speech. Measured: 0.86 to 0.90 for voices, also under
music, 0.00 for ambience, pads and beats; a voice with long pauses lies between."""


class Ask(BaseModel):
    """Why a clip needs a person's word: a stable code, what is not clear, and how it is settled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    words: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Clues:
    """What a request shows of what is wanted.

    Attributes:
        prompt: The prompt as it is understood.
        numbered: The media that the prompt names by number, also as "the first image".
        figures: Those that it names by a figure.
        images: The names of the images, in order.
        videos: The names of the reference videos.
        audios: The names of the sounds.
        laid: The names of the files that the brief lays under the clip or ends it on.
        speech: Share of the sound in which a voice is heard, from 0 to 1; None if it was not measured.
        face: Whether the image shows a large face; None if it was not checked.
        dubbed: The brief names its voiceovers by language.
        image_left_out: The brief leaves the image out (`keep_face: false`).
        preset_named: The brief names a preset, which stands for a prompt.
        model_named: The brief names a model, so only a file that is not there is asked for.
    """

    prompt: Reading
    numbered: tuple[tuple[MediumKind, int], ...] = ()
    figures: tuple[tuple[MediumKind, int], ...] = ()
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    audios: tuple[str, ...] = ()
    laid: tuple[str, ...] = ()
    speech: float | None = None
    face: bool | None = None
    dubbed: bool = False
    image_left_out: bool = False
    preset_named: bool = False
    model_named: bool = False

    @property
    def one_voice(self) -> bool:
        """True if the media are those of a talking clip: one sound, at most one image."""
        return len(self.audios) == 1 and len(self.images) <= 1 and not self.videos


def asks_of(clues: Clues) -> tuple[Ask, ...]:
    """Return everything for which a clip needs a person's word, the most telling first."""
    table = (_missing,) if clues.model_named else _TABLE
    return tuple(ask for find in table for ask in find(clues))


def _parts(clues: Clues) -> Iterator[Ask]:
    if len(clues.images) < 2 or clues.videos or clues.audios:
        return
    if words := clues.prompt.find("each_alone"):
        why = f"The prompt takes the {len(clues.images)} images apart (“{words}”), and one clip would get all of them."
    elif len(clues.images) > 2 and _says_no_parts(clues) and _is_bare(clues):
        why = f"The prompt does not say what each of the {len(clues.images)} images is for, nor what happens."
    else:
        return
    yield Ask(
        code="parts_unsaid",
        words=why,
        remedy="For a clip of each image upload each by itself, for a clip of one name it under `images`. If all are"
        " references of one clip, say the part of each by its number, or write `route: multi_modal`.",
    )


def _is_bare(clues: Clues) -> bool:
    """Return whether a prompt sets nothing in motion and asks for no single clip."""
    return motions_in(clues.prompt).lead is None and not clues.prompt.find("one_clip")


def _last_image(clues: Clues) -> Iterator[Ask]:
    if len(clues.images) < 2 or clues.videos or clues.audios or clues.prompt.find("each_alone"):
        return
    last = shown_name(clues.images[-1])
    words = clues.prompt.find("last_frame")
    if not words and len(clues.images) == 2:
        words = becoming(clues.prompt.text, clues.images) or _two_states(clues)
    if words:
        why = f"The prompt speaks of a first and a last image (“{words}”)"
    elif len(clues.images) == 2 and names_first(clues.images[0]) and names_last(clues.images[1]) and not clues.numbered:
        why = f"The names {shown_name(clues.images[0])} and {last} are those of a first and a last image"
    elif len(clues.images) == 2 and _says_no_parts(clues):
        why = "The prompt does not say what each of the two images is for"
    else:
        return
    yield Ask(
        code="last_image",
        words=f"{why}, and references to several images hold no frame.",
        remedy=f"If the clip is to end on {last}, write `end_image: {last}`. If the images are references,"
        " write `route: multi_modal`.",
    )


def _two_states(clues: Clues) -> str:
    """Return the words by which a prompt of two images speaks of two states of one thing; empty if it does not."""
    prompt, pairs = clues.prompt, [("begins", "ends")]
    if (MediumKind.IMAGE, 1) not in clues.numbered:  # else each has its own part, such as the person and the room
        if words := prompt.find("from_to"):
            return words
        if not prompt.find("composes"):
            if words := prompt.find("changes"):
                return words
            pairs += [("early_state", "late_state"), ("early_state", "ends")]
    found = ((prompt.find(one), prompt.find(other)) for one, other in pairs)
    return next((f"{one} … {other}" for one, other in found if one and other and one != other), "")


def _says_no_parts(clues: Clues) -> bool:
    """Return whether a prompt gives no image a part: it numbers none, names no person or animal, and puts nothing together.

    Most such prompts let one image become the other in words that no rule knows. A move of the camera fits several views.
    """
    one = clues.prompt.find("composes") and clues.prompt.find("one_clip")  # "make one video out of these two photos"
    prompt = clues.prompt.without("counted_media")
    together = one or prompt.find("composes") or prompt.find("meets") or names_somebody(prompt.said)
    return prompt.language is not None and not (clues.numbered or together or motions_in(clues.prompt).camera)


def _missing(clues: Clues) -> Iterator[Ask]:
    for kind, names, key, what in (
        (MediumKind.IMAGE, clues.images, "images", "image"),
        (MediumKind.AUDIO, clues.audios, "audio", "sound"),
        (MediumKind.VIDEO, clues.videos, "videos", "video"),
    ):
        if words := _words_of_missing(clues, kind, len(names)):
            yield Ask(
                code="reference_missing" if names else f"{kind}_missing",
                words=f"The prompt speaks of {'an' if what == 'image' else 'a'} {what} (“{words}”), and the clip has"
                f" {counted(len(names), what) if names else 'none'}.",
                remedy=f"Upload it and name it under `{key}`, or correct the prompt. To make the clip without it, write the `route`.",
            )


def _words_of_missing(clues: Clues, kind: MediumKind, count: int) -> str:
    """Return the words by which a prompt speaks of a medium of a kind that the clip lacks; empty if by none.

    A number may be that of a series, beside the one image of a clip: "image 4 of our series". "The woman from image 2" is none.
    """
    media = (*clues.images, *clues.audios, *clues.videos)
    numbers = [number for each, number in clues.figures if each is kind]
    number = next((each for each in numbers if each > count), None)
    if number is not None and (
        len(media) > 1 or not count or len(numbers) > 1 or takes_from(clues.prompt.text, number)
    ):
        return f"{kind} {number}"
    if words := absent_file(clues.prompt.text, kind, (*media, *clues.laid)):
        return words
    return clues.prompt.find(_TAKEN_FOR_GIVEN[kind]) if not count and kind in _TAKEN_FOR_GIVEN else ""


_TAKEN_FOR_GIVEN = {MediumKind.AUDIO: "audio_there", MediumKind.VIDEO: "video_there"}
"""The concepts of media that a prompt speaks of as there."""


def _voice_alone(clues: Clues) -> Iterator[Ask]:
    if clues.one_voice and not (clues.images or clues.prompt.text or clues.preset_named or clues.dubbed):
        yield Ask(
            code="voice_alone",
            words="There is a voice, no image and no prompt, so nothing says who speaks.",
            remedy="Add an image, or describe the person in `prompt`. If anybody may speak it, write `route: lip_sync`.",
        )


def _edit(clues: Clues) -> Iterator[Ask]:
    if clues.videos and (words := clues.prompt.without("taken_from_video").find("edit_of_video")):
        yield Ask(
            code="edit_of_video",
            words=f"The prompt asks to change a video (“{words}”). No route edits one: a new video is made after it.",
            remedy="To make a new video with it as a reference, write `route: multi_modal`.",
        )
    elif clues.videos and not clues.images:
        yield Ask(
            code="video_alone",
            words="There is a video and no image. A video is a reference for motion, and becomes no part of the clip.",
            remedy="Add an image. To make a clip from the reference alone, write `route: multi_modal`.",
        )


def _languages(clues: Clues) -> Iterator[Ask]:
    if clues.dubbed or clues.videos or not clues.audios:
        return
    if words := clues.prompt.find("other_languages"):
        yield Ask(
            code="languages",
            words=f"The prompt asks for another language (“{words}”). A clip speaks what is in the sound; nothing is translated.",
            remedy="Upload a voiceover for each language and name them under `dub`. To make the clip with this sound, write the `route`.",
        )
        return
    if len(clues.audios) < 2:
        return
    spoken = languages_in(clues.audios)
    if spoken:
        dub = ", ".join(f"{language}: {shown_name(name)}" for language, name in zip(spoken, clues.audios, strict=True))
        yield Ask(
            code="languages",
            words=f"The sounds are one voice in several languages ({', '.join(spoken)}), and one clip would get all of them.",
            remedy=f"For a clip in each language write `dub: {{{dub}}}`. If one clip is to get all, write `route: multi_modal`.",
        )


def _several_portraits(clues: Clues) -> Iterator[Ask]:
    several = len(clues.audios) == 1 and len(clues.images) > 1 and not clues.videos
    if several and not clues.numbered and (clues.speech is None or clues.speech >= SPEECH_SHARE):
        yield Ask(
            code="one_voice_several_images",
            words=f"There are {len(clues.images)} images and one voice. With several images no lips follow the voice.",
            remedy="For a speaking clip name one image under `images`. If all are references, write `route: multi_modal`.",
        )


def _several_voices(clues: Clues) -> Iterator[Ask]:
    if len(clues.audios) < 2 or not clues.images or clues.numbered or clues.videos or clues.dubbed:
        return
    if not clues.prompt.find("other_languages") and not languages_in(clues.audios) and (words := _dialogue(clues)):
        yield Ask(
            code="several_voices",
            words=f"There are {len(clues.audios)} sounds, and {words}. With several sounds no lips follow any of them.",
            remedy="For a speaking clip name one image and one sound; a conversation is a film of such clips. If all are"
            " references, write `route: multi_modal`.",
        )


def _dialogue(clues: Clues) -> str:
    """Return by what several sounds are voices of somebody in the pictures, as a clause; empty if by nothing."""
    if words := words_of_singing(clues.prompt) or words_of_speaking(clues.prompt):
        return f"the prompt lets somebody speak (“{words}”)"
    called = [name for name in clues.audios if folded(name) in clues.prompt.text]
    if len(called) > 1:
        return f"the prompt tells them apart by their names ({', '.join(map(shown_name, called))}), which no model sees"
    images = [words_of(name) for name in clues.images]
    paired = next((name for name in clues.audios if len(images) > 1 and words_of(name) in images), "")
    return f"{shown_name(paired)} has the name of an image" if paired else ""


def _nobody_speaks(clues: Clues) -> Iterator[Ask]:
    if not clues.one_voice or clues.dubbed:
        return
    why = silence_of(clues)
    if why:
        name = shown_name(clues.audios[0])
        yield Ask(
            code="nobody_speaks",
            words=f"{why} As a speaking clip the picture would get a talking mouth or another person.",
            remedy=f"To lay it under the picture, write `music: {name}` or `narration: {name}`. If somebody is to"
            " speak it, write `route: lip_sync`.",
        )


def silence_of(clues: Clues) -> str:
    """Return why nobody speaks a clip's one sound, as a sentence; empty if somebody does."""
    name, prompt = shown_name(clues.audios[0]), clues.prompt
    if words := words_of_unseen_voice(prompt):
        return f"The prompt lets nobody in the picture speak (“{words}”)."
    if words_of_singing(prompt):
        return ""
    if clues.speech is not None and clues.speech < SPEECH_SHARE:
        return f"A voice is heard in {clues.speech:.0%} of {name}, so it has no speech."
    seen = clues.face is not False or bool(names_person(clues.images))
    if words_of_speaking(prompt, seen=seen) or not clues.images or clues.image_left_out:
        return ""
    if words := prompt.find("under_picture"):
        return f"The prompt calls the sound “{words}”."
    if seen:
        return ""
    return f"{name} has speech, but no large face was found in {shown_name(clues.images[0])}, and the prompt names no speaker."


_TABLE: Sequence[Callable[[Clues], Iterator[Ask]]] = (
    _parts,
    _last_image,
    _missing,
    _edit,
    _voice_alone,
    _languages,
    _several_portraits,
    _several_voices,
    _nobody_speaks,
)
"""The codes, each with its rule: `parts_unsaid`, `last_image`, `audio_missing`, `video_missing`, `image_missing` and
`reference_missing`, `edit_of_video` and `video_alone`, `voice_alone`, `languages`, `one_voice_several_images`,
`several_voices`, `nobody_speaks`."""
