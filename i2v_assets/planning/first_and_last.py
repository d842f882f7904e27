"""Find the prompts that let one image become another: "image 1 turns into image 2", "Beginne mit Bild 1 und ende mit Bild 2".

Each image is written as @ and its number first, so a few rules serve all languages. Pure.
"""

import re
from collections.abc import Sequence
from typing import Final

from i2v_assets.planning.media_numbers import NO_NOUN, marked
from i2v_assets.planning.names import folded

_BECOMES: Final = (
    r"(?:becomes?|turns?\b[^.;@]{0,15}\binto|(?:morph|transform|dissolve|blend|change|fade|evolve|convert|transition)s?\b[^.;@]{0,15}\b(?:in)?to"
    r"|gives way to|(?:ver)?wandelt|wird(?! von\b)|morpht|uberblendet|(?:geht|blendet) (?:\w+ )?uber in|weicht"
    r"|se (?:va |van )?(?:conv(?:ierta|ierte|irtiendo)|transform(?:a|e|ando)|fund[ae]|fundiendo)|pasa a ser|cambia a(?= (?:la |el )?@)|(?:da|deja) paso"
    r"|dev(?:ient|ienne)|se (?:transforme|change|fond|metamorphose)|(?:laisse|cede) (?:la )?place"
    r"|(?:vai )?(?:se )?(?:torna(?:ndo)?|vir(?:a|ando|e)(?! (?:para|pra|se)\b)|transforma(?:ndo)?|converte(?:ndo)?)(?:-se)?|(?<!se )vira(?= (?:para|pra) (?:a |o )?@2)|da lugar"
    r"|变成|变为|变化|渐变|过渡|转变|化为|から|になる|へ)"
)
_BEFORE: Final = (
    r"(?:^|[.;:,、。，]\s*|\b(?:the|das|die|la|a|o|el|le|l'|from|von|vom|aus dem|aus|de la|de l'|da|do|de|let|make|lasse?)\s*"
    r"|[从让把])"
)
_GAP: Final = r"[^.;。@]"

_STRONGLY: Final = (
    r"\b(?:becomes?|(?:turn|morph|transform|dissolve|melt|evolve|grow|blend)s? into|ends? up (?:as|being)|verwandelt sich in|wird zu[mr]?"
    r"|(?:se (?:convierte|transforma) en|acaba siendo|pasa a ser)|(?:devient|se (?:transforme|change) en)|on obtient|se obtiene|entsteht|ergibt|(?:se transforma (?:em|na|no)|vira(?! (?:para|pra)\b)))"
)
_PLACE: Final = r"(?:dans|en|in|on|sur|no|na|em|im|auf|mit|with|con|avec|com)\b"
"""After one of these the second image is a place or a means: "devient danseuse dans le décor de l'image 2"."""

_TIME: Final = (
    r"(?:dawn|sunrise|morning|day(?:time|light)?|noon|evening|dusk|sunset|(?:mid)?night|spring|summer|autumn|winter|before|after|tag|morgen|abend|nacht"
    r"|fruhling|sommer|herbst|vorher|nachher|manana|dia|tarde|noche|invierno|primavera|verano|otono|antes|despues|matin|jour|soir|nuit|hiver|printemps|ete|automne"
    r"|avant|apres|manha|noite|inverno|verao|outono|depois|[朝昼夜夕春夏秋冬晨晚]|白天|之前|之后|(?:1[5-9]|20)\d\d)"
)
"""A time or a year at which an image shows something: two of them are one thing at two times."""

_START: Final = (
    r"(?:start|begin|open|beginn|anfang|ausgehend|empie|comien|inici|\bpart(?:e|ez|ons|ir|iendo|imos)?(?= d)|commenc|debut|comec"
    r"|开头|开始|首|始|最初)"
)
_END: Final = r"(?:end|finish|clos|stop|arriv|schliess|ankomm|acab|termin|lleg|cheg|fin|最後|最后|终|終|結|结)"
_AT_END: Final = r"(?:end(?:s|ing|e|et)?|final\w*|finish\w*|acab\w+|termin\w+|fini\w*|fim)"

_LAST_OF_TWO: Final = r"(?: (?:image|picture|photo|frame|one|bild|foto|aufnahme|imagen|imagem)\b|\s*:| (?:is|shows|ist|zeigt|es|est|montre|mostra|der|die|das|den|la|le|el|a|e|o)\b)"
"""After "the last", where it is an image and not the last drop."""

_OPPOSITES: Final = tuple(
    f"(?:{one})[^@;]{{0,40}}@2{_GAP}{{0,30}}(?:{other})"
    for pair in (
        (
            r"\b(?:closed|shut|zu|geschlossen\w*|cerrad[oa]s?|bajad[oa]s?|fermee?s?|baissee?s?|fechad[oa]s?|abaixad[oa]s?)\b|閉|关[着闭上]|合上",
            r"\b(?:open(?:ed)?|offen\w*|auf|geoffnet\w*|abiert[oa]s?|subid[oa]s?|ouverte?s?|levee?s?|abert[oa]s?|levantad[oa]s?)\b|開|打?开[着的]",
        ),
        (
            r"\b(?:empty|bare|leer\w*|kahl\w*|vaci[oa]s?|vides?|vazi[oa]s?|nue?s?)\b|空",
            r"\b(?:full|filled|set|furnished|voll\w*|gedeckt\w*|gefullt\w*|eingerichtet\w*|llen[oa]s?|puest[oa]s?|pleine?s?|remplie?s?|mise|chei[oa]s?|post[oa]s?)\b|満|いっぱい|满",
        ),
        (
            r"\b(?:off|unlit|dark|aus|dunkel|apagad[oa]s?|oscur[oa]s?|eteinte?s?|sombres?|escur[oa]s?)\b|消え|暗|关着|熄灭",
            r"\b(?:on|lit|bright|an|hell|erleuchtet|encendid[oa]s?|ilumina\w+|allumee?s?|eclairee?s?|aces[oa]s?|clar[oa]s?)\b|点い|つい|明る|亮|点着",
        ),
        (
            r"\b(?:dirty|broken|raw|unfinished|schmutzig\w*|kaputt\w*|roh|suci[oa]s?|rot[oa]s?|crud[oa]s?|sales?|cassee?s?|crue?s?|suj[oa]s?|quebrad[oa]s?)\b|汚|壊|脏|坏|破",
            r"\b(?:clean|repaired|fixed|cooked|finished|sauber\w*|repariert\w*|fertig\w*|limpi[oa]s?|reparad[oa]s?|hech[oa]s?|propres?|reparee?s?|cuite?s?|limp[oa]s?|consertad[oa]s?|pront[oa]s?)\b|きれい|直|干净|修好|完成",
        ),
        (
            r"\b(?:down|lying|sitting|unten|liegt|sitzt|abajo|tumbad[oa]|sentad[oa]|en bas|assise?|allongee?|embaixo|deitad[oa])\b|座|坐|躺",
            r"\b(?:up|standing|oben|steht|arriba|de pie|en haut|debout|em cima|de pe|em pe)\b|立|站",
        ),
    )
    for one, other in (pair, pair[::-1])
)
"""Two states of which a thing has one at a time, after the two images that show them."""

_RULES: Final = tuple(
    re.compile(rule)
    for rule in (
        # image 1 turns into image 2
        rf"{_BEFORE}@1(?![的の]){_GAP}{{0,20}}{_BECOMES}{_GAP}{{0,20}}@2{NO_NOUN}",
        rf"@1 geht{_GAP}{{0,15}} in{_GAP}{{0,6}} @2 uber|@1[がは]{_GAP}{{0,8}}@2[にへ]{_GAP}{{0,4}}(?:変わ|変化|変身|な[るっ]|モーフ)",
        # "Bild 1 soll sich in Bild 2 verwandeln", the bud of image 1 becomes the flower of image 2
        rf"@1{_GAP}{{0,15}}\bin (?:das )?@2 (?:verwandel|umwandel|uberge|uberblend)\w*|@1の{_GAP}{{1,8}}[がは]@2の{_GAP}{{1,8}}に(?:な[るっり]|変)",
        # the clip finishes looking exactly like image 2
        rf"\b(?:end|finish|conclud)\w*{_GAP}{{0,20}}\b(?:like|as)\b{_GAP}{{0,10}}@2{NO_NOUN}",
        # turn image 1 into image 2
        r"\b(?:turn|morph|transform\w*|change|convert\w*|convierte|blend|dissolve|verwand\w+|wandle|muda|mude|chang\w+)"
        rf" (?:(?:the|das|die|la|a|o|el|le) |l')?@1 (?:smoothly |slowly |langsam |sanft )?(?:into|to|in|en|na|em|no|para)"
        rf" (?:(?:the|das|die|la|a|o|el|le) |l')?@2{NO_NOUN}",
        rf"[把将]?@1(?!的){_GAP}{{0,6}}(?:变成|变为|转为|过渡到)@2(?!的)|@1を{_GAP}{{0,6}}@2(?:に|へ){_GAP}{{0,4}}(?:変化|変え|変身|モーフ)",
        # transform the caterpillar in image 1 into the butterfly of image 2
        r"\b(?:turn|morph|transform\w*|verwand\w+|convierte|convert\w*|wandle)"
        rf" {_GAP}{{3,30}}@1 {_GAP}{{0,15}}(?:into|in|en|em|n[ao])\b {_GAP}{{3,30}}@2{NO_NOUN}",
        # her hair turns from brown (image 1) to blonde (image 2); "aus der Raupe auf Bild 1 wird der Falter auf Bild 2"
        r"\b(?:turn|chang|go|fad|morph|transition|transform|blend|grow|ag)\w* (?:\w+ )?from\b"
        rf"{_GAP}{{0,25}}@1{_GAP}{{0,15}}\bto\b{_GAP}{{0,25}}@2",
        rf"\b(?:aus|from)\b{_GAP}{{0,25}}@1{_GAP}{{0,6}}\b(?:wird|comes|becomes)\b{_GAP}{{0,25}}@2{NO_NOUN}",
        # morning in image 1, midnight in image 2; "Bild 1 am Tag, Bild 2 bei Nacht"
        rf"\b{_TIME}[^.;@]{{0,12}}@1[^.;@]{{0,20}}{_TIME}[^.;@]{{0,12}}@2|@1[^.;@]{{0,12}}{_TIME}\b[^.;@]{{0,20}}@2[^.;@]{{0,12}}{_TIME}",
        # in image 1 the door is closed, in image 2 it is open
        *(
            rf"(?:^|[.;,:、。，]\s*|\b(?:in|on|at|auf|im|en|sur|dans|n[ao]|em)\s+(?:the\s+|der\s+|dem\s+|la\s+|l')?|^(?:the|das|la|a|o|el|le) )@1{_GAP}{{0,40}}?{pair}"
            for pair in _OPPOSITES
        ),
        # start: image 1. end: image 2
        r"\b(?:start|first|begin\w*|opening|anfang|beginn|inicio|debut|inicial|erste[rs]?|comeco)\b"
        r"(?: (?:frame|image|bild|still))?\W{0,3}(?:is |ist |es |est |e |= )?@1\W{1,5}(?:and |und |y |et |e )?"
        r"(?:the |das |la |a )?(?:end\w*|last|final|closing|schluss|fin|fim|finale)\b",
        # the sapling grows until it looks like image 2
        rf"\b(?:until|till|bis|hasta|jusqu\w*|ate)\b{_GAP}{{0,45}}@2|直到{_GAP}{{0,6}}@2{NO_NOUN}|@2(?:になる|のよう|に似)?まで",
        # start with image 1 and end with image 2
        rf"{_START}{_GAP}{{0,25}}@1{_GAP}{{0,40}}{_END}{_GAP}{{0,25}}@2",
        # he turns in image 1 and stands there in the end as in image 2
        rf"@1\b{_GAP}{{0,60}}\b{_AT_END}\b{_GAP}{{0,25}}\b(?:like|as|wie|como|comme)\b{_GAP}{{0,15}}@2",
        # from the sketch (image 1) to the finished house (image 2)
        rf"^\W*(?:from|vo[nm]|aus|de[l']?|du|d[ao]|desde)\b ?{_GAP}{{3,30}}@1\)? (?:to|bis|zu[mr]?|al?|aux?|en|ate|para|hasta)\b{_GAP}{{0,30}}@2",
        # image 1 is the start and image 2 the end
        rf"@1{_GAP}{{0,12}}(?:start|begin|first|anfang|inicio|debut|comeco|开头|开始|首|最初|始)[^@]{{0,25}}"
        rf"@2{_GAP}{{0,12}}(?:end|last|final|schluss|fin|fim|结尾|结束|尾|最後|終)",
        # the first image is the shop before, the last one the finished shop
        rf"@1(?!\d)[^;。]{{0,60}}?\b(?:(?:last|letzte[rsnm]?|ultima|derniere)\b{_LAST_OF_TWO}|final (?:image|picture|photo|frame|one|shot)\b)|@1[^;。]{{0,30}}最[后後](?:@1|一[张張幅枚]|の(?:画像|写真))",
        # transition from image 1 to image 2
        r"(?:transi|ubergang|uberblend|morph|fondu|fundido|passag|transicao|crossfade|dissolve|interpol|wechsel|过渡|渐变|変化|モーフ)"
        rf"{_GAP}{{0,30}}@1{_GAP}{{0,25}}@2",
        # photo one into photo two; the old car of image 1 ends up as the restored one of image 2
        rf"@1 (?:(?:smoothly|slowly) )?(?:into|->|=>|→) ?@2{NO_NOUN}",
        rf"@1\b{_GAP}{{0,40}}{_STRONGLY}(?: (?!{_PLACE})[\w'-]{{1,20}}){{0,4}} (?:(?:of|in|from|on|auf|aus|von|de|del|da|do|du|de la) )?(?:l')?@2{NO_NOUN}",
        rf"@1(?:から|到)@2{_GAP}{{0,14}}(?:変化|変わ|変身|なっ|なる|モーフ|へ|变|过渡|渐)",
    )
)


_GLOSS: Final = re.compile(r"\s*[(\[][^()\[\]]{1,60}[)\]]|\s[–—-]\s[^–—.;]{1,60}?\s[–—-](?=\s)")
"""What an image shows, between its name and what becomes of it: "the first image (the shell)"."""


def becoming(prompt: str, names: Sequence[str]) -> str:
    """Return the words by which a prompt lets the first image become the second; empty if it does not.

    Args:
        prompt: The prompt.
        names: The names of its images, by which it may call them.
    """
    text = folded(prompt)
    for number, name in enumerate(names, start=1):
        text = text.replace(folded(name), f"@{number}")
    text = marked(_GLOSS.sub(lambda match: match[0] if "@" in marked(match[0]) else "", text))
    found = next((match[0] for rule in _RULES if (match := rule.search(text))), "")
    return found.strip(" ,.;:。，、").replace("@", "image ")
