"""The sandbox fetches what a body names, and refuses what the model would refuse."""

import io
import wave

import av
import numpy as np
import pytest
from PIL import Image

WAN_T2V = "wan-ai/wan-2-7/text-to-video"
WAN_I2V = "wan-ai/wan-2.7/image-to-video"
SEEDANCE = "bytedance/seedance-v2/pro"
LOWER = {"resolution": "720p", "watermark": None}
SPOKEN = {**LOWER, "image_url": None}
REFERENCES = {**LOWER, "image_url": [], "duration": 4}


def clip(seconds: float, *, container: str = "mp4") -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for number in range(round(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(np.full((36, 64, 3), number % 255, np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def silence(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes([128]) * round(seconds * 8000))
    return buffer.getvalue()


def refusals(answer) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.json()["error_code"] == 422001
    return [part["msg"] for part in answer.json()["detail"]]


def converted(data: bytes, mode: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def images(media) -> dict[str, tuple[bytes, str | None]]:
    frames = [Image.new("RGB", (320, 320), colour) for colour in ("red", "blue")]
    animated = io.BytesIO()
    frames[0].save(animated, "WEBP", save_all=True, append_images=frames[1:])
    big = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (2000, 1800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(big, "PNG")
    return {
        "smallest": (media.picture(300, 300), None),
        "a side too short": (media.picture(299, 400), "a side of 299 px is shorter than 300 px"),
        "widest": (media.picture(750, 300), None),
        "too wide": (media.picture(760, 300), "aspect 2.53 is above 2.5"),
        "tallest": (media.picture(300, 750), None),
        "too tall": (media.picture(300, 760), "aspect 0.39 is below 0.4"),
        "png": (media.picture(format="PNG"), None),
        "webp": (media.picture(format="WEBP"), None),
        "gif": (media.picture(format="GIF"), "format GIF is not one of JPEG, PNG, WEBP"),
        "cmyk": (converted(media.picture(), "CMYK"), "colour mode CMYK is not supported"),
        "animated": (animated.getvalue(), "animated images are not supported"),
        "too many bytes": (big.getvalue(), "bytes are more than 10000000"),
        "truncated": (media.picture()[:2000], "the image cannot be read"),
        "a text": (b"hello", "the image cannot be read"),
    }


def test_images(slow, media, media_server):
    for name, (data, problem) in images(media).items():
        answer = slow.submit(image_url=media_server.put(f"{name.replace(' ', '-')}.bin", data))
        if problem is None:
            assert answer.status_code == 200, (name, answer.text)
        else:
            assert any(problem in text for text in refusals(answer)), (name, answer.text)


def test_a_picture_is_measured_as_displayed(slow, media):
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright
    for options, size in (({}, (1440, 720)), ({"exif": exif.tobytes()}, (720, 1440))):
        request_id = slow.accepted(image_url=media.inline(media.picture(800, 400, **options)))
        request = slow.get(f"/_sandbox/requests/{request_id}").json()
        assert (request["width"], request["height"]) == size


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [(3, None), (2.5, "2.5 s are shorter than 3 s"), (30, None), (30.5, "30.5 s are longer than 30 s")],
)
def test_length_of_a_voiceover(slow, media_server, seconds, problem):
    answer = slow.submit(WAN_T2V, **SPOKEN, audio_url=media_server.put("voice.wav", silence(seconds)))
    assert answer.status_code == 200 if problem is None else refusals(answer) == [problem]


def test_kinds_of_sound(slow, media, media_server):
    flac = io.BytesIO()
    with av.open(flac, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    for data, problem in (
        (flac.getvalue(), "format FLAC is not one of WAV, MP3"),
        (b"RIFFnothing", "the audio cannot be read"),
        (media.voice(30, rate=96_000) * 3, "bytes are more than 15000000"),
        (clip(4), "the file has no audio"),
    ):
        answer = slow.submit(WAN_T2V, **SPOKEN, audio_url=media_server.put("sound.bin", data))
        assert any(problem in text for text in refusals(answer))


@pytest.mark.parametrize(
    ("seconds", "container", "problem"),
    [
        (2, "mp4", None),
        (2, "mov", None),
        (1.5, "mp4", "1.5 s are shorter than 2 s"),
        (15.5, "mp4", "15.5 s are longer than 15 s"),
        (2, "matroska", "format MATROSKA,WEBM is not one of MP4, MOV"),
    ],
)
def test_reference_clips(slow, media_server, seconds, container, problem):
    url = media_server.put("clip.bin", clip(seconds, container=container))
    answer = slow.submit(SEEDANCE, **REFERENCES, video_url=[url])
    assert answer.status_code == 200 if problem is None else refusals(answer) == [problem]


def test_an_address_without_an_answer(slow, media_server):
    count = slow.charges()["count"]
    answer = slow.submit(image_url=f"{media_server.url}/gone.jpg?signature=secret")
    assert refusals(answer) == ["the address answered 403"]
    assert answer.json()["detail"][0]["type"] == "media_unreachable"
    assert answer.json()["detail"][0]["loc"] == ["body", "image_url"]
    assert "secret" not in answer.text
    assert refusals(slow.submit(image_url="http://127.0.0.1:1/x.jpg")) == ["the address could not be reached"]
    assert refusals(slow.submit(image_url="data:image/jpeg;base64,***")) == ["the data: URI is not valid base64"]
    assert slow.charges()["count"] == count


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("http_404", "the address answered 404"),
        ("http_503", "the address answered 503"),
        ("timeout", "the address did not answer within 30 s"),
        ("disconnect_before", "the address could not be reached"),
        ("garbage", "the image cannot be read"),
    ],
)
def test_faults_of_a_fetch(slow, kind, text):
    slow.fault("fetch_input", kind)
    assert refusals(slow.submit()) == [text]
    assert slow.submit().status_code == 200


def test_a_fetch_that_fails_late(quick):
    quick.fault("fetch_input", "failed_result")
    result = quick.ended(quick.accepted())
    assert (result["status"], result["error"]) == ("failed", "An input could not be fetched.")


def test_input_sha256_is_over_the_bytes_not_the_address(slow, media, media_server):
    image, voice = media.picture(seed=5), media.voice(4)
    count = slow.charges()["count"]

    def submit(picture: str, sound: str, **more) -> None:
        slow.accepted(WAN_I2V, **LOWER, image_url=picture, audio_url=sound, **more)

    first, second = media_server.put("a.jpg", image, "?sig=1"), media_server.put("b.jpg", image, "?sig=2")
    sound = media_server.put("a.wav", voice)
    submit(first, sound)
    submit(second, sound)
    submit(media.inline(image), media.inline(voice, "audio/wav"))
    submit(first, sound, seed=99)
    submit(media_server.put("c.jpg", media.picture(seed=6)), sound)
    hashes = [charge["input_sha256"] for charge in slow.charges()["charges"][count:]]
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(set(hashes)) == 3


def test_every_medium_of_a_list_is_fetched_with_a_plain_get(slow, media, media_server):
    urls = [media_server.put(f"many-{number}.jpg", media.picture(seed=number)) for number in range(9)]
    media_server.gets.clear()
    slow.accepted(SEEDANCE, **{**REFERENCES, "image_url": urls})
    assert sorted(media_server.gets) == [f"/many-{number}.jpg" for number in range(9)]


def test_data_uris_are_not_kept_in_the_record(slow):
    request_id = slow.accepted()
    assert len(slow.result(request_id)["input"]["image_url"]) < 100
