"""The camera moves as the prompt says, starting at the whole picture."""

from itertools import pairwise

import pytest

from resources.sandbox.drawing.motion import Move, Pose, motion_of


@pytest.mark.parametrize(
    ("prompt", "moves"),
    [
        ("Push in on the shoe", {Move.PUSH_IN}),
        ("Slow dolly-in, golden light", {Move.PUSH_IN}),
        ("The camera zooms in", {Move.PUSH_IN}),
        ("Pull back to show the hall", {Move.PULL_OUT}),
        ("Reveal the skyline", {Move.PULL_OUT}),
        ("Pan slowly to the left", {Move.PAN_LEFT}),
        ("Panning right over the ridge", {Move.PAN_RIGHT}),
        ("Pan across the valley", {Move.PAN_LEFT, Move.PAN_RIGHT}),
        ("Tilt up the tower", {Move.TILT_UP}),
        ("Crane down", {Move.TILT_DOWN}),
        ("Slow orbit around the bottle", {Move.ORBIT}),
        ("Gentle drift", {Move.ORBIT}),
        ("She breathes and blinks", {Move.BREATHE}),
        ("Tilt up, then push in", {Move.TILT_UP}),
        ("A red shoe on a table", {Move.BREATHE}),
    ],
)
def test_the_first_motion_word_decides(prompt, moves):
    assert {motion_of(prompt, seed).move for seed in range(40)} == moves


@pytest.mark.parametrize("prompt", [move.value for move in Move])
def test_every_move_starts_at_the_whole_picture_and_never_rests(prompt):
    motion = motion_of(prompt, 3)
    assert motion.at(0, 0) == Pose()
    poses = [motion.at(number / 119, number / 24) for number in range(120)]
    assert all(first != second for first, second in pairwise(poses))


def test_directions():
    def end(prompt: str) -> Pose:
        return motion_of(prompt, 1).at(1, 5)

    assert end("push in").zoom > 1.2
    assert end("pull out").zoom < 0.85
    assert end("pan left").right < -0.05 < 0.05 < end("pan right").right
    assert end("tilt up").down < -0.05 < 0.05 < end("tilt down").down
    assert abs(end("orbit").yaw) > 0.1


def test_a_pan_never_leaves_the_picture():
    for prompt in ("pan left", "pan right", "tilt up", "tilt down"):
        for seed in range(50):
            pose = motion_of(prompt, seed).at(1, 15)
            room = (1 - 1 / pose.zoom) / 2
            assert max(abs(pose.right), abs(pose.down)) <= room + 0.009  # the sway may show a mirrored pixel or two
