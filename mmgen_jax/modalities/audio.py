"""The kind `audio`: a waveform `[S]` float32 in [-1, 1]; zeros are silence."""

from __future__ import annotations

import dataclasses
import errno
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import base, containers, streams
from mmgen_jax.modalities.base import undecodable
from mmgen_jax.modalities.grid import MIN_PICTURE, save_grid, to_uint8
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.resample import resample
from mmgen_jax.modalities.space import Continuous

MAX_SAMPLES = 2**27  # of one recording, all channels together: 23 minutes of 48 kHz stereo
MAX_PEAK = 4.0  # lossy codecs overshoot full scale (1.43 was seen in AAC speech); more than 12 dB is a wrong scale
PADDED = 0.1  # seconds that codecs may add at the ends of a sound
FORMATS = "a WAV, AIFF, FLAC, Ogg, Opus, MP3 or M4A recording"
SAMPLE_RATES = (1_000, 192_000)
SPECTROGRAM_FRAME = 256  # samples of one analysis window
SPECTROGRAM_RANGE = 60.0  # dB below the loudest bin that are still visible


@dataclasses.dataclass(frozen=True)
class Kind(base.Base):
    """Files: WAV, AIFF, FLAC, Ogg, Opus, MP3, M4A. A clip may be given by name as well; its sound is read.

    Samples: `<step>_<name>_<i>.wav` (16 bit), and a grid of spectrograms `<step>_<name>.png`.

    Augmentation, with the largest strengths:

        shift       largest shift earlier or later, in seconds; silence fills the gap; a video is not shifted with it
        gain        largest change of loudness either way, in dB; then clipped to [-1, 1]
        noise       white noise; its amplitude relative to the signal's RMS (0.1 is 20 dB SNR); then clipped to [-1, 1]
    """

    ranks: ClassVar[tuple[int, ...]] = (1,)
    suffixes: ClassVar[tuple[str, ...]] = (".wav", ".aiff", ".aif", ".flac", ".ogg", ".opus", ".mp3", ".m4a")
    operations: ClassVar[Mapping[str, float]] = {"shift": 1e4, "gain": 100, "noise": 10}

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        num_samples = round(fields.audio_seconds * fields.sample_rate)
        return Modality("audio", (num_samples,), sample_rate=fields.sample_rate)

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        if values.dtype == np.int32:
            values = values / np.float32(2**31)
        if values.ndim != 2 or (values.dtype != np.int16 and values.dtype.kind != "f"):
            expected, got = "[N, S] floats, or whole numbers of 16 or 32 bits", f"{values.dtype} {list(values.shape)}"
            raise DataError(fields.file, name, "shape", expected, got, "convert them")
        values = values if values.dtype == np.int16 else values.astype(np.float32)
        if values.dtype != np.int16 and not (peak := np.abs(values).max(initial=0)) <= 1:
            advice = "divide them by their largest"
            raise DataError(fields.file, name, "range", "values in [-1, 1]", f"{peak:.4g}", advice)
        rate = int(np.ravel(about.get("sample_rate", fields.sample_rate))[0])
        if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
            expected = f"{SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz"
            raise DataError(fields.file, name, "sample_rate", expected, f"{rate} Hz", "save the right one")
        if fields.audio_seconds:
            length = round(fields.audio_seconds * rate)
            values = np.pad(values[:, :length], ((0, 0), (0, max(0, length - values.shape[1]))))
        return Modality("audio", values.shape[1:], sample_rate=rate), values

    @classmethod
    def check_header(cls, path, name: str) -> None:
        (open_sound if containers.is_clip(path) else open_audio)(path, name).close()

    @property
    def space(self) -> Continuous:
        return Continuous((*self.modality.shape, 1))

    def read_file(self, path, name: str) -> np.ndarray:
        (num_samples,) = self.modality.shape
        return read(path, num_samples, self.modality.sample_rate, name)

    def shortened(self, path, name: str) -> list[str]:
        if containers.is_clip(path):
            with open_sound(path, name) as container:
                stream = container.streams.audio[0]
                seconds, rate = streams.seconds(container, stream), stream.rate
        else:
            with open_audio(path, name) as file:
                seconds, rate = file.frames / file.samplerate, file.samplerate
        limit, limit_rate = self.modality.shape[0] / self.modality.sample_rate, self.modality.sample_rate
        found = []
        if seconds > limit + PADDED:
            found.append(f"are longer than {limit:g} s and are cut; raise data.audio_seconds")
        if rate > limit_rate:
            found.append(f"have more than {limit_rate} Hz and lose their high frequencies; raise data.sample_rate")
        return found

    def frames(self, name: str, values: np.ndarray) -> np.ndarray:
        """The spectrogram of each sound, as one frame."""
        return np.stack([_spectrogram(waveform) for waveform in base.finite(name, values)])[:, None, :, :, None]

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        import soundfile

        paths = []
        for i, waveform in enumerate(samples):
            paths.append(stem.with_name(f"{stem.name}_{i}.wav"))
            try:
                soundfile.write(paths[-1], np.clip(waveform, -1, 1), self.modality.sample_rate, subtype="PCM_16")
            except soundfile.LibsndfileError as error:  # no OSError, although the disk is full
                raise OSError(errno.EIO, str(error), str(paths[-1])) from error
        return [*paths, *save_grid(stem, {**seen, name: self.frames(name, samples)}, list(captions))]

    def statistics(self) -> Statistics:
        return Statistics(self.modality)

    def augment(self, settings: Mapping[str, Any], example, key):
        from mmgen_jax.modalities import augmentation

        return augmentation.waveform(example, settings, key, self.modality.sample_rate)


class Statistics(base.Statistics):
    """Range and mean of the peaks, and the number of silent recordings."""

    silent = 0

    def add(self, values: np.ndarray) -> None:
        peaks = np.abs(values).max(1)
        self.silent += int((peaks == 0).sum())
        super().add(peaks)

    def __str__(self) -> str:
        rate = self.modality.sample_rate
        seconds = self.modality.shape[0] / rate
        return f"{rate} Hz, {seconds:.4g} s; peak {self.spread}, {self.silent} silent"


def read(path, num_samples: int, sample_rate: int, modality: str = "audio") -> np.ndarray:
    """`[num_samples] float32` in [-1, 1] of a recording in one of FORMATS, or of the sound of a clip.

    Conversions: channels are averaged; other rates are resampled to `sample_rate` Hz (`resample.py`); longer recordings
    are cut at the end, shorter ones are padded with zeros; peaks up to `MAX_PEAK`, as lossy codecs produce them, are
    clipped to [-1, 1].

    Raises:
      DataError: the file is unreadable, of another format, truncated, empty, not finite, louder than `MAX_PEAK`, or its
        rate is outside `SAMPLE_RATES`. A truncated MP3 is detected only where its header has the number of frames.
    """
    if containers.is_clip(path):
        return read_sound(path, num_samples, sample_rate, modality)
    with open_audio(path, modality) as file:
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except Exception as error:
            raise undecodable(path, modality, "a whole recording", error) from error
        if len(samples) < file.frames:
            raise DataError(
                path, modality, "length", f"{file.frames} samples", len(samples), "it is cut off: replace it"
            )
        rate = file.samplerate
    return fit(path, modality, samples.mean(1), rate, num_samples, sample_rate)


def read_sound(path, num_samples: int, sample_rate: int, modality: str = "audio") -> np.ndarray:
    """`[num_samples] float32` in [-1, 1]: the first audio track of a clip or an M4A file, converted as by `read`.

    Raises:
      DataError: the file is unreadable, of another format, truncated, damaged, or has no audio track.
    """
    with open_sound(path, modality) as container:
        stream, parts, total = container.streams.audio[0], [], 0
        for frame in streams.decoded(path, modality, container, stream):
            parts.append(streams.mono(frame))
            total += len(parts[-1])
            check_samples(path, modality, total, 1, stream.rate)
        rate = stream.rate
    if not parts:
        raise DataError(path, modality, "length", "at least 1 sample", "an empty audio track", "replace it")
    return fit(path, modality, np.concatenate(parts), rate, num_samples, sample_rate)


def open_sound(path, modality: str = "audio"):
    """The `av` container of a clip that has sound, with only its header read."""
    return streams.open_clip(path, modality, "audio", FORMATS)


def open_audio(path, modality: str = "audio"):
    """An open `soundfile.SoundFile`, of which only the header is read.

    Raises:
      DataError: as `read`, except for damage after the header.
    """
    import soundfile

    containers.check(path, modality)
    try:
        file = soundfile.SoundFile(str(path))
    except Exception as error:
        raise undecodable(path, modality, FORMATS, error) from error
    check_samples(path, modality, file.frames, file.channels, file.samplerate)
    return file


def check_samples(path, modality: str, frames: int, channels: int, rate: int) -> None:
    """Raises DataError unless the number of samples is within `MAX_SAMPLES` and the rate within `SAMPLE_RATES`."""
    if not 0 < frames * channels <= MAX_SAMPLES:
        raise DataError(
            path, modality, "length", f"1 to {MAX_SAMPLES} samples", f"{frames} x {channels} channels", "replace it"
        )
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
        expected = f"{SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz"
        raise DataError(path, modality, "sample_rate", expected, f"{rate} Hz", "its header is wrong: convert it again")


def fit(path, modality, samples, rate, num_samples, sample_rate) -> np.ndarray:
    """One channel `[N]` at `rate` Hz as a waveform `[num_samples] float32` in [-1, 1] at `sample_rate` Hz; see `read`.

    Raises:
      DataError: a sample is not finite, or the peak is above `MAX_PEAK`.
    """
    if not np.isfinite(samples).all():
        at = int(np.argmin(np.isfinite(samples)))
        raise DataError(path, modality, "range", "finite samples", f"{samples[at]} at sample {at}", "replace it")
    if (peak := float(np.abs(samples).max())) > MAX_PEAK:
        raise DataError(
            path, modality, "range", "samples in [-1, 1]", f"a peak of {peak:.4g}", "scale it to full scale 1"
        )
    if rate != sample_rate:
        samples = resample(samples, rate, sample_rate, num_samples)
    waveform = np.zeros(num_samples, np.float32)
    waveform[: len(samples)] = samples[:num_samples]
    return np.clip(waveform, -1, 1)


def _spectrogram(samples: np.ndarray) -> np.ndarray:
    """The log-magnitude spectrogram `[96, W] uint8` of a waveform `[S]`, low frequencies at the bottom."""
    import PIL.Image

    hop = SPECTROGRAM_FRAME // 4
    padded = np.pad(samples.astype(np.float64), (SPECTROGRAM_FRAME // 2, SPECTROGRAM_FRAME))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SPECTROGRAM_FRAME)[: len(samples) : hop]
    magnitudes = np.abs(np.fft.rfft(windows * np.hanning(SPECTROGRAM_FRAME)))
    decibels = 20 * np.log10(np.maximum(magnitudes / max(magnitudes.max(), 1e-9), 1e-9))
    picture = to_uint8(decibels.T[::-1] / (SPECTROGRAM_RANGE / 2) + 1)
    return np.asarray(PIL.Image.fromarray(picture).resize((max(picture.shape[1], 128), MIN_PICTURE)))
