"""`i2v retry`, `retake` and `choose`: what a person asks of a clip that is there already."""

from typing import Annotated, Any

import typer

from i2v_assets.cli.completion import complete_names
from i2v_assets.cli.console import AsJson, err, out, print_json
from i2v_assets.cli.exit_codes import Exit, exit_code
from i2v_assets.operations.clips import find_clip
from i2v_assets.operations.retry import retry_clip
from i2v_assets.operations.takes import choose_take, following_in_words, retake_clip
from i2v_assets.session import current_user, open_session
from resources.errors import I2VError
from resources.money import dollars

app = typer.Typer()


@app.command()
def retry(
    clips: Annotated[
        list[str], typer.Argument(help="Clips that failed or were cancelled.", autocompletion=complete_names)
    ],
    as_json: AsJson = False,
) -> None:
    """Make failed or cancelled clips again; what was charged for the failure is not refunded.

    A refusal by the service's content rules is final for the same media and prompt: change them instead.

        i2v retry hero shoes--0001
    """
    results: list[dict[str, Any]] = []
    worst = Exit.OK
    with open_session() as session:
        for name in [find_clip(session.registry, name).clip for name in dict.fromkeys(clips)]:
            try:
                again = retry_clip(session, name, by=current_user())
            except I2VError as error:
                worst = worst or exit_code(error)
                results.append({"clip": name, "due": False, "reason": error.message, "remedy": error.remedy})
                err.print(f"{name}: {error.text}", markup=False, highlight=False)
            else:
                results.append({"clip": name, "due": True, "requests": again.fingerprints})
    if as_json:
        print_json(results)
    else:
        for result in results:
            if result["due"]:
                out.print(f"{result['clip']} is due again.", markup=False, highlight=False)
    raise typer.Exit(worst)


@app.command()
def retake(
    clip: Annotated[str, typer.Argument(help="A clip that has been made.", autocompletion=complete_names)],
    seed: Annotated[int | None, typer.Option(help="The take's seed; another one is derived without it.")] = None,
    piece: Annotated[
        int | None,
        typer.Option(help="Of a voice in several pieces: the first one to make anew; the earlier ones stay."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make another take of a clip with another seed: it is paid for, and kept beside the others.

    i2v retake hero

    i2v retake hero --seed 42

    i2v retake anna --piece 3
    """
    with open_session() as session:
        due = retake_clip(session, clip, seed, by=current_user(), from_piece=piece)
    if as_json:
        plain = {"clip": clip, "take": due.take, "seed": seed, "price_microdollars": due.price_microdollars}
        if due.pieces:
            plain |= {"pieces": due.pieces, "from_piece": due.from_piece}
        print_json(plain | ({"made_anew_once_chosen": [shot.clip for shot in due.following]} if due.following else {}))
        return
    costs = f", for about {dollars(due.price_microdollars)}" if due.price_microdollars else ""
    out.print(f"Take {due.take} of {clip} is due{costs}.", markup=False, highlight=False)
    if due.words:
        out.print(due.words, markup=False, highlight=False)
    err.print(f"`i2v choose {clip} {due.take}` makes it the clip's video once it is there.", highlight=False)


@app.command()
def choose(
    clip: Annotated[str, typer.Argument(help="A clip with more than one take.", autocompletion=complete_names)],
    take: Annotated[int, typer.Argument(min=1, help="The number of the take.")],
    as_json: AsJson = False,
) -> None:
    """Choose which take is a clip's video; costs nothing.

    i2v choose hero 2
    """
    with open_session() as session:
        following = choose_take(session, clip, take)
    if as_json:
        print_json({"clip": clip, "chosen_take": take})
    else:
        out.print(f"Take {take} becomes the video of {clip} with the next run.", markup=False, highlight=False)
        if following:
            out.print(following_in_words(following), markup=False, highlight=False)
