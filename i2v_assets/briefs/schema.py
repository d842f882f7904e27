"""The JSON Schema of a brief, committed so that editors complete and check ``brief.yaml``.

Run ``python -m i2v_assets.briefs.schema`` after a change to the model; a test fails if the committed file is out of date.
"""

import json
from pathlib import Path
from typing import Any

from i2v_assets.briefs.brief import Brief, MediaRef

SCHEMA_FILE = Path(__file__).parent.parent / "brief.schema.json"


def brief_schema() -> dict[str, Any]:
    """Return the schema of what people may write, including short forms (one file name instead of a list)."""
    schema = Brief.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["description"] = "What a person asks for in brief.yaml. Every key is optional."
    definition = MediaRef.__name__
    schema["$defs"][definition]["description"] = "A file in the brief's folder, with what to take from it."
    either = {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": f"#/$defs/{definition}"}]}
    for name in ("images", "audio", "videos"):
        schema["properties"][name]["anyOf"] = [
            *either["anyOf"],
            {"type": "array", "items": either, "minItems": 1},
            {"type": "null"},
        ]
    return schema


def schema_text() -> str:
    """Return the text of the committed schema file."""
    return json.dumps(brief_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
