"""Reading a refusal: is it about the content, so that the same bytes and words will be refused again?"""

import re

_CONTENT = re.compile(
    r"\b(content|moderat\w*|polic(y|ies)|safety|unsafe|nsfw|sensitive|inappropriate|prohibited|violat\w*|"
    r"copyright\w*|celebrit\w*|real person|public figure|censor\w*)\b",
    re.IGNORECASE,
)
_NOT_CONTENT = re.compile(r"content[- ]?(type|length|encoding|disposition)|rate[- ]?limit\w*", re.IGNORECASE)

CONTENT_REMEDY = (
    "The service's content rules refuse this picture or prompt; it is never sent again as it is."
    " Change the prompt or the media."
)


def speaks_of_content(message: str | None) -> bool:
    """True when the service's words are about what the media or the prompt show, not about form or capacity."""
    return bool(message and _CONTENT.search(_NOT_CONTENT.sub(" ", message)))
