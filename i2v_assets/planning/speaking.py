"""Find who speaks in a prompt: somebody in the picture, a voice that nobody in it has, or nobody. Pure."""

from i2v_assets.planning.names import names_somebody
from i2v_assets.planning.vocabulary import Reading


def words_of_speaking(prompt: Reading, *, seen: bool = True) -> str:
    """Return the words by which a prompt lets somebody speak or sing; empty if it has none.

    Args:
        prompt: The prompt.
        seen: Somebody is seen in the picture. Without that a verb of presenting needs a person in the prompt: "Slow orbit
            that introduces the bottle" lets nobody speak.
    """
    return _speaking(prompt, _SPEAKING, seen=seen)


_SPEAKING = ("speech", "sings", "speaker")


def words_of_talking(prompt: Reading, *, seen: bool) -> str:
    """Return the words by which a prompt lets somebody talk, as above; a singer or a presenter may be silent."""
    return _speaking(prompt, ("speech",), seen=seen)


def words_of_singing(prompt: Reading) -> str:
    """Return the words by which a prompt lets somebody sing; empty if it has none."""
    return prompt.without("not_said_by_anyone").find("sings")


def words_of_unseen_voice(prompt: Reading) -> str:
    """Return the words that let nobody in the picture speak; empty if there are none.

    A narrator and a voice say so only if nobody else speaks: "the narrator looks into the camera and talks". Closed lips
    say so unless they open in time: "mouth closed at first, then she speaks".
    """
    if words := prompt.find_anywhere("nobody_on_screen"):
        return words
    closed, alone = prompt.find_anywhere("closed_lips"), prompt.find_anywhere("voice_alone")
    if not closed and not alone:
        return ""
    speaks = _speaking(prompt.without("voice_alone").without("closed_lips"), _SPEAKING, seen=False)
    if closed and not (speaks and any(map(prompt.find, ("begins", "ends", "sequence")))):
        return closed
    return "" if speaks or prompt.find("to_camera") else alone


def _speaking(prompt: Reading, concepts: tuple[str, ...], *, seen: bool) -> str:
    prompt = prompt.without("not_said_by_anyone")
    if seen or prompt.find("people") or names_somebody(prompt.said):
        concepts = (*concepts, "presents")
    return next((words for concept in concepts if (words := prompt.find(concept))), "")
