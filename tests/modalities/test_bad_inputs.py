import os
import pathlib
import subprocess
import sys
import time

import bad_inputs
import pytest

from mmgen_jax.modalities import audio, video

CASES = bad_inputs.cases()


def test_corpus_is_large_and_its_names_are_unique():
    assert len(CASES) >= 60 and len({case.name for case in CASES}) == len(CASES)
    assert all(bool(case.refused) != bool(case.converted) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome_is_the_documented_one(case, tmp_path, cache):
    directory = tmp_path / "files"
    directory.mkdir()
    start = time.process_time()
    bad_inputs.try_case(case, directory)
    assert time.process_time() - start < 2


def test_reading_imports_no_jax(cache):
    """So nothing can be compiled before a bad input is found."""
    program = pathlib.Path(bad_inputs.__file__)
    paths = os.pathsep.join([str(program.parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, program], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["lrae3s", "sbbbzp", "srbb4n", "srwi5a", "swao7a"])
def test_grid_clips_of_74_frames_fill_every_frame(mmgen_data, name):
    clip = mmgen_data / "grid_s1" / "clips" / f"{name}.mp4"
    frames = video.read(clip, (75, 16, 16, 3), frame_rate=25.0)
    assert (frames[74] == frames[73]).all() and (frames[73] != frames[72]).any()  # the last frame is held
    assert video.read(clip, (8, 16, 16, 3)).std(0).max() > 0.05


def test_grid_clip_with_a_damaged_block_is_a_valid_stream(mmgen_data):
    """Its damage was encoded again into whole frames, which no decoder can tell from a picture: it is converted."""
    clip = mmgen_data / "grid_s1" / "clips" / "sgib8n.mp4"
    assert video.read(clip, (75, 16, 16, 3)).shape == (75, 16, 16, 3)
    assert abs(audio.read_sound(clip, 24_000, 8000)).max() > 0.1
