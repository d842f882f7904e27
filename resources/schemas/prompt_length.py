"""The length of a prompt in the service's own units, because the service cuts a longer one silently.

The sources give two numbers for each family, one for English and one, half as large, for Chinese. A mixed prompt is
measured with one rule that agrees with both: a Chinese character counts as two units, everything else as one.

If English words are counted, scripts without blanks between words would pass as one word, and no source gives them a
number. The pages that count characters count a Chinese one as two others; here it counts as two words. So a character
of another such script counts as one word.
"""

import re

from resources.schemas.inputs import Family
from resources.schemas.limits import PromptLimits

_CHINESE = re.compile(
    "["
    "\u2e80-\u2fdf"  # radicals
    "\u3000-\u303f"  # CJK punctuation
    "\u3040-\u30ff\u31f0-\u31ff"  # kana: written without spaces too
    "\u3100-\u312f\u31a0-\u31bf"  # bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # ideographs
    "\uff00-\uff60\uffe0-\uffe6"  # full-width forms
    "\U00020000-\U0003ffff"  # further ideographs
    "]"
)

_NO_BLANKS = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"  # Burmese
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf"  # Tai scripts
    "\ua980-\ua9df"  # Javanese
    "]"
)


def prompt_units(limits: PromptLimits, prompt: str) -> int:
    """Return the length of a prompt in the units of ``limits``: characters (code points), or words between white space."""
    chinese, rest = len(_CHINESE.findall(prompt)), _CHINESE.sub(" " if limits.unit == "words" else "", prompt)
    plain = len(rest)
    if limits.unit == "words":
        plain = len(_NO_BLANKS.findall(rest)) + len(_NO_BLANKS.sub(" ", rest).split())
    return plain + limits.chinese_weight * chinese


def prompt_excess(family: Family, limits: PromptLimits, prompt: str) -> str | None:
    """Return why a prompt is too long for a family, or empty, in one line with the limit; None if it fits."""
    if not prompt.strip():
        return "The prompt is empty."
    units = prompt_units(limits, prompt)
    chinese = limits.max_units // limits.chinese_weight
    if units > limits.max_units:
        counted = f"{units} {limits.unit} long (a Chinese character counts as {limits.chinese_weight})"
        most = f"{limits.max_units} {limits.unit} or {chinese} Chinese characters"
    elif limits.max_characters is not None and len(prompt) > limits.max_characters:
        counted = f"{len(prompt)} characters long"
        most = f"{limits.max_units} {limits.unit}, or {limits.max_characters} characters,"
    else:
        return None
    if limits.kind == "advice":
        return f"The prompt is {counted}; for {family} at most {most} are recommended."
    return f"The prompt is {counted}; {family} takes at most {most} and would cut the rest silently."
