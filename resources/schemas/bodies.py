"""What the request bodies on the wire have in common; each family's own fields are in ``families/``.

Field names, values and defaults there are the service's and may change; the project's own names are in ``inputs.py``. A
media field holds an http(s) URL or a ``data:`` URI. Validation errors never print the input, because URLs are secrets.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resources.schemas.limits import PromptLimits
from resources.schemas.prompt_length import prompt_excess


def prompt_of(family: str, limits: PromptLimits) -> AfterValidator:
    """Return the check of a prompt: not empty, and within the limit if it is a hard one."""

    def check(prompt: str) -> str:
        problem = prompt_excess(family, limits, prompt) if limits.kind == "hard" or not prompt.strip() else None
        if problem:
            raise ValueError(problem)
        return prompt

    return AfterValidator(check)


def says(source: str, **schema: Any) -> dict[str, Any]:
    """Return a field's source, and further words of its schema."""
    return {"source": source, **schema}


class Body(BaseModel):
    """The common base: exact types, no unknown fields, and no input in an error's text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


_URL = r"^(https?://\S+|data:\S+)$"
ImageUrl = Annotated[str, Field(pattern=_URL, json_schema_extra={"format": "image_uri"})]
AudioUrl = Annotated[str, Field(pattern=_URL, json_schema_extra={"format": "audio_uri"})]
Url = Annotated[str, Field(pattern=_URL)]

SEED_PAGE = "model pages: 0 to 2147483647, 0 is random"
