"""Switches for points on which the sources about the service disagree."""

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Switches(BaseModel):
    """Every switch with its default side (that of the documentation, if it says anything)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auth_error: Literal["401", "403", "400"] = Field(
        "401", description="HTTP status of a bad token; the error_code is 400004 always"
    )
    no_balance: Literal["402", "400"] = Field(
        "402", description="HTTP status of an empty account; the error_code is 400002 always"
    )
    early_result: Literal["200", "400"] = Field(
        "200", description="/result before the end: 200 with the state, or 400 with error_code 400005"
    )
    failed_status: Literal["completed", "failed"] = Field("completed", description="/status of a failed run")
    submit_status: Literal["200", "202"] = Field("200", description="HTTP status of an accepted submission")
    output: Literal["video", "videos", "cover_first", "gone_first", "unnamed"] = Field(
        "video", description="output is {video: URL}, {videos: [URL]}, or has a second address"
    )
    documented_ids: bool = Field(True, description="the documented ids resolve; false: they answer 404 with 404001")
    catalogue_ids: bool = Field(True, description="the catalogue's ids resolve; false: they answer 404 with 404001")
    missing_models: tuple[str, ...] = Field((), description="single model ids that answer 404 with 404001")
    list_recorded: bool = Field(
        False, description="GET /models lists the recorded models too, and not only those whose bodies the code knows"
    )
    cancel_outcome: Literal["cancelled", "cancellation_requested"] = Field(
        "cancelled", description="outcome of a cancellation that works"
    )
    cancelled_word: Literal["cancelled", "canceled"] = Field("cancelled", description="spelling of the state")
    error_code_name: Literal["error_code", "code"] = Field("error_code", description="field of the numeric code")
    error_text_name: Literal["message", "error_message", "error", "detail"] = Field(
        "message", description="field of an error's text"
    )
    failed_error: Literal["string", "object"] = Field("string", description="shape of `error` on /result")
    waiting_word: Literal["in_queue", "pending", "waiting", "starting"] = Field(
        "in_queue", description="/result of a request in the queue"
    )
    working_word: Literal["in_progress", "processing"] = Field(
        "in_progress", description="/result of a request that is worked on"
    )
    answering_model: str = Field(
        "", description="model_id that /result names in the place of the one that was asked for; empty: that one"
    )
    queue_base: Literal[0, 1] = Field(1, description="queue_position of the next request in line")
    echo_input: bool = Field(True, description="/result repeats the input, the media's URLs among it")
    cost: bool = Field(True, description="/result?include_cost=true tells the cost at all")
    cost_delay_seconds: float = Field(0, ge=0, description="the cost appears on /result this long after the end")
    charge_failed: bool = Field(True, description="failed runs cost the full price; false: nothing")
    price_unit: str = Field("second", min_length=1, description="price_unit of every model: second, output, image, ...")
    login_auto_approve: bool = Field(False, description="device logins are authorized at the first poll")
    login_seconds: float = Field(600, gt=0, description="life of a device code")
    login_ended_status: Literal["200", "410"] = Field(
        "410", description="HTTP status of a poll for a denied or expired login"
    )

    @model_validator(mode="before")
    @classmethod
    def _numbers_and_texts(cls, data: Any) -> Any:
        """Take a side that is a number as text too, and one that is text as a number: 402 and "402" are one."""
        if not isinstance(data, dict):
            return data
        return {name: _side(cls.model_fields[name].annotation, value) if name in cls.model_fields else value
                for name, value in data.items()}  # fmt: skip


def _side(annotation: Any, value: object) -> object:
    if get_origin(annotation) is not Literal or isinstance(value, bool) or not isinstance(value, int | str):
        return value
    return next((side for side in get_args(annotation) if str(side) == str(value)), value)
