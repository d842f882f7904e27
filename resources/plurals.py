"""Numbers with their noun, for messages to people."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number and its noun in the right form: "1 clip", "1,200 clips".

    Args:
        number: How many.
        noun: The word for one.
        plural: The word for several, if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
