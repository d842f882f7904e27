"""The cells of a table: the columns that it may have, and the value of a cell as a spreadsheet writes it. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from i2v_assets.briefs.brief import Brief
from i2v_assets.briefs.brief_reader import BriefError, suggestion
from i2v_assets.briefs.yaml_reader import MAX_DEPTH, writable
from resources.bounded_json import read_json

CLIP_COLUMN = "clip"
ALIASES = {"image": "images", "video": "videos", "audios": "audio"}
COLUMNS = (CLIP_COLUMN, *Brief.model_fields, *ALIASES)
"""Every column that a CSV batch may have."""

_WHOLE_NUMBERS = frozenset({"seed", "takes", "priority", "duration"})
_SWITCHES = frozenset(
    {"watermark", "generate_audio", "needs_approval", "prompt_expansion", "keep_face", "may_be_silent", "loop"}
)
_LISTS = frozenset({"images", "audio", "videos"})
_NESTED = frozenset({"dub", "reroll", "shots", "inputs"})
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_OTHER_TRUTH = dict.fromkeys(
    [
        "wahr",
        "ja",
        "vrai",
        "oui",
        "verdadero",
        "sí",
        "si",
        "vero",
        "sì",
        "verdadeiro",
        "sim",
        "waar",
        "prawda",
        "tak",
        "sant",
        "sand",
        "sann",
        "tosi",
        "kyllä",
        "pravda",
        "ano",
        "áno",
        "igaz",
        "igen",
        "истина",
        "да",
        "ja",
        "adevărat",
        "da",
        "doğru",
        "evet",
        "αληθής",
        "真",
        "是",
        "はい",
        "참",
    ],
    "true",
) | dict.fromkeys(
    [
        "falsch",
        "nein",
        "faux",
        "non",
        "falso",
        "onwaar",
        "nee",
        "fałsz",
        "nie",
        "falskt",
        "falsk",
        "nej",
        "epätosi",
        "ei",
        "nepravda",
        "ne",
        "hamis",
        "nem",
        "ложь",
        "нет",
        "fals",
        "yanlış",
        "hayır",
        "ψευδής",
        "假",
        "否",
        "いいえ",
        "거짓",
    ],
    "false",
)
"""What spreadsheets and people write for TRUE and FALSE in other languages. It is named and not read: `ja` is yes in one
language and another word in the next."""

_IN_OTHER_WORDS = {
    word: column
    for column, words in {
        "clip": "name names title titel id nombre titulo título nom titre nome 名前 タイトル 名称 标题 名字 编号",
        "image": "file filename file_name picture photo bild foto datei dateiname imagen archivo fichier image_file imagem arquivo"
        " 画像 写真 ファイル ファイル名 图片 图像 照片 文件 文件名",
        "prompt": "text description beschreibung anweisung descripcion descripción texto indicacion invite consigne texte descrição"
        " descricao instrução プロンプト 説明 指示 提示词 描述 说明",
        "duration": "length seconds dauer länge laenge sekunden duracion duración segundos duree durée secondes duração duracao 長さ"
        " 秒 秒数 时长 长度",
        "audio": "voice sound voiceover ton stimme sprache voz sonido audio_file voix son som 音声 声 音频 声音 配音",
        "video": "clip_video vídeo 動画 视频",
        "aspect_ratio": "aspect ratio format seitenverhältnis formato relacion proporção 比率 比例",
        "resolution": "size auflösung resolucion resolución définition resolução 解像度 分辨率",
        "negative_prompt": "negative negativ negativo négatif 负面提示词",
    }.items()
    for word in words.split()
}
"""What people write above a column in seven languages: it is suggested and not read."""

NAMELESS = ""
"""A column without a name: a table that was exported with its row numbers has one."""

_UNNAMED = re.compile(r"unnamed:?_?\d*|index")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]0+)?")
_TIME = re.compile(r"(?:\d{4}-\d\d-\d\d[T ])?(\d{1,2}):(\d\d)(?::\d\d(?:\.\d+)?)?\s*(?:[ap]\.?m\.?)?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]00:00:00)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}[.-]\s?[^\W\d]{3,9}\.?")
_RATIO = re.compile(r"\d{1,2}:[1-9]\d?")


def columns_of(cells: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the columns that a line of column names stands for.

    Raises:
        BriefError: a column is unknown or named twice.
    """
    last = max(number for number, cell in enumerate(cells) if cell.strip())
    if last >= 2 * len(COLUMNS):
        raise BriefError(
            f"{name} has {last + 1:,} columns; a CSV batch has at most {len(COLUMNS)}.",
            remedy="Remove those that it does not know, or check the separator.",
        )
    columns = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in cells[: last + 1]]
    columns = [NAMELESS if _UNNAMED.fullmatch(column) else column for column in columns]
    for column in columns:
        if column == NAMELESS:
            continue
        if column not in COLUMNS:
            meant = _IN_OTHER_WORDS.get(re.sub(r"[^\w]+", "", column).strip("_"))
            remedy = f"Did you mean `{meant}`?" if meant else suggestion(column, COLUMNS)
            raise BriefError(f"{name}: `{writable(column)}` is not a column of a CSV batch.", remedy=remedy)
        if columns.count(column) > 1:
            raise BriefError(f"{name} has the column `{column}` twice.", remedy="Keep one of them.")
    return tuple(columns)


def values_of(columns: Sequence[str], cells: Sequence[str], where: str) -> dict[str, Any]:
    """Return the values of a row's cells by column; empty cells and row numbers are left out.

    Raises:
        BriefError: there are more cells than columns, or a cell cannot be its column's value.
    """
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise BriefError(
            f"{where} has {len(cells)} cells for {len(columns)} columns.",
            remedy="Quote text that holds the separator with double quotes.",
        )
    values: dict[str, Any] = {}
    for number, (column, written) in enumerate(zip(columns, cells, strict=False), start=1):
        cell = written.strip()
        if not cell:
            continue
        if column == NAMELESS:
            _check_row_number(cell, number, where)
        else:
            values[column] = _value(column, cell, where)
    return values


def whole_numbers(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of JSON with its whole numbers as such: programs that write tables write 5 as 5.0."""
    return {
        key: int(value) if key in _WHOLE_NUMBERS and isinstance(value, float) and value.is_integer() else value
        for key, value in data.items()
    }


def _check_row_number(cell: str, number: int, where: str) -> None:
    if not _NUMBER.fullmatch(cell):
        raise BriefError(
            f"{where} holds {writable(cell)!r} in column {number}, which has no name.",
            remedy="Give the column a name in the first line, or delete it.",
        )


def _value(column: str, cell: str, where: str) -> object:
    """Return a cell's value for its column; a value that does not fit stays text, which the brief then refuses."""
    field = ALIASES.get(column, column)
    if field in _WHOLE_NUMBERS and len(cell) <= 20 and _NUMBER.fullmatch(cell):
        return int(re.split("[.,]", cell)[0])
    if field in _SWITCHES:
        return _switch(field, cell, where)
    if field == "aspect_ratio":
        _check_ratio(cell, where)
    if field in _LISTS:
        return [part.strip() for part in cell.split("|")]
    if field in _NESTED:
        try:
            return read_json(cell, max_depth=MAX_DEPTH)
        except ValueError:
            raise BriefError(
                f"{where}: `{field}` is not JSON.", remedy='Write JSON, such as {"en": "v.mp3"}.'
            ) from None
    return cell


def _switch(field: str, cell: str, where: str) -> object:
    word = cell.casefold()
    if word in ("1.0", "0.0"):
        word = word[0]
    if word not in _TRUTH and (meant := _OTHER_TRUTH.get(word)) is not None:
        raise BriefError(
            f"{where}: `{field}` is {writable(cell)!r}, which is {meant.upper()} in another language.",
            remedy=f"Write {meant} in the cell, as text.",
        )
    return _TRUTH.get(word, word)


def _check_ratio(cell: str, where: str) -> None:
    if _RATIO.fullmatch(cell):
        return
    time = _TIME.fullmatch(cell)
    if time is not None:
        ratio = f"{int(time[1])}:{int(time[2])}"
    elif _DATE.fullmatch(cell) or re.fullmatch(r"0?[.,]\d+", cell):
        ratio = "16:9"
    else:
        return
    raise BriefError(
        f"{where}: `aspect_ratio` is {writable(cell)!r}: the spreadsheet made a time or a date of the ratio.",
        remedy=f"Format the column as text, then write {ratio} again.",
    )
