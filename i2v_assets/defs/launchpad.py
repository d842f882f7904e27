"""The form of a job in the launchpad, made so that the environment cannot be read through it."""

from typing import Any, get_args, get_origin

import dagster as dg

_PLAIN: dict[object, Any] = {str: dg.String, int: dg.Int, bool: dg.Bool, float: dg.Float}


def launchpad_fields(form: type[dg.Config]) -> dict[str, dg.Field]:
    """Return a form's fields for an op's ``config_schema``; the op builds the form from ``context.op_config``.

    Dagster's own conversion lets each text, number and switch be ``{"env": "NAME"}``, and a run that then names the value
    in an error writes a secret of the environment into the event log. These fields take plain values alone.

    Raises:
        KeyError: a field has a type that no form had so far.
    """
    return {
        name: dg.Field(
            _plain(info.annotation),
            is_required=info.is_required(),
            description=info.description,
            **({} if info.is_required() else {"default_value": info.get_default(call_default_factory=True)}),
        )
        for name, info in form.model_fields.items()
    }


def _plain(annotation: Any) -> Any:
    if get_origin(annotation) is list:
        return dg.Array(_PLAIN[get_args(annotation)[0]])
    return _PLAIN[annotation]
