import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from pipelines.boards import Board, fresh_board
from tests.pipelines.discs import disc_video
from tests.pipelines.test_panel import disc_panel

VIDEO = disc_video(steps=6, size=32)


def read(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    return events.Reload()


def picture(event) -> Image.Image:
    return Image.open(io.BytesIO(event.encoded_image_string))


def test_scalars_images_and_films_come_back_as_they_were(tmp_path):
    board = Board(tmp_path)
    board.scalars({"loss/total": 2.5, "live": 3}, 10)
    board.images("frame", VIDEO.frames[0], 10)
    board.film("film", VIDEO.frames, 10, 10)
    board.panel(10, **disc_panel(2))
    board.close()
    events = read(tmp_path)
    assert [(x.step, x.value) for x in events.Scalars("loss/total")] == [(10, 2.5)]
    assert (np.asarray(picture(events.Images("frame")[0])) == VIDEO.frames[0]).all()
    film = events.Images("film")[0]
    assert (film.step, film.width, film.height) == (10, 32, 32)
    assert picture(film).format == "GIF"
    assert len(list(ImageSequence.Iterator(picture(film)))) == 6
    assert picture(events.Images("panel")[0]).size[0] >= 8 * 128


def test_words_come_back_as_they_were(tmp_path):
    board = Board(tmp_path)
    board.text("stage1/health", "no particle is live: lower --dlp.price", 7)
    board.close()
    (event,) = read(tmp_path).Tensors("stage1/health/text_summary")
    assert event.step == 7
    assert event.tensor_proto.string_val == [b"no particle is live: lower --dlp.price"]


def test_a_fresh_board_shows_what_is_new_alone_and_leaves_the_folders_in_it(tmp_path):
    for folder in (tmp_path, tmp_path / "inner"):
        board = Board(folder)
        board.scalars({"old": 1.0}, 0)
        board.close()
    board = fresh_board(tmp_path)
    board.scalars({"new": 2.0}, 0)
    board.close()
    assert read(tmp_path).Tags()["scalars"] == ["new"]
    assert read(tmp_path / "inner").Tags()["scalars"] == ["old"]


def test_a_curve_is_an_image_and_scalars_over_the_horizon(tmp_path):
    board = Board(tmp_path)
    values = {"model": np.array([1.0, np.nan, 4.0]), "copy-last": np.array([2.0, 5.0, 9.0])}
    board.curve("error", values, 100, unit="px")
    board.curve("final error", values, 100, unit="px", as_scalars=True)
    board.close()
    events = read(tmp_path)
    assert events.Images("error")[0].step == 100
    assert events.Tags()["scalars"] == ["final error/model", "final error/copy-last"]
    assert [(x.step, x.value) for x in events.Scalars("final error/model")] == [(1, 1), (3, 4)]


def test_projector_files_are_those_its_tab_reads(tmp_path):
    appearance, glimpses = torch.randn(10, 4), torch.rand(10, 3, 8, 8)
    columns: dict[str, list[object]] = {"identity": list(range(10)), "video": ["a"] * 10}
    for step in (5, 5, 7):  # a step written again replaces itself
        board = Board(tmp_path)  # a resumed run
        board.projector(appearance, glimpses, columns, step)
        board.close()
    config = ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    assert [x.tensor_name for x in config.embeddings] == ["appearance:00005", "appearance:00007"]
    entry = config.embeddings[-1]
    stored = np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t")
    assert np.allclose(stored, appearance.numpy(), atol=1e-6)
    table = (tmp_path / entry.metadata_path).read_text().splitlines()
    assert table[:2] == ["identity\tvideo", "0\ta"]
    assert len(table) == 11
    assert list(entry.sprite.single_image_dim) == [8, 8]
    sprite = np.asarray(Image.open(tmp_path / entry.sprite.image_path))
    assert sprite.shape == (32, 32, 3)  # ten of eight pixels: four by four places
    fifth = (glimpses[5].permute(1, 2, 0) * 255).numpy().astype(np.uint8)
    assert (sprite[8:16, 8:16] == fifth).all()


def test_too_many_glimpses_are_refused_with_the_limit(tmp_path):
    board = Board(tmp_path)
    with pytest.raises(ValueError, match="need a sprite of 12800 px; at most 8192"):
        board.projector(
            torch.zeros(10_000, 2), torch.zeros(1).expand(10_000, 3, 128, 128), {"a": []}, 0
        )
    board.close()


def test_hyperparameters_lie_in_the_runs_own_folder(tmp_path):
    board = Board(tmp_path)
    board.hyperparameters(
        {"k": 10, "rate": 2e-3, "conv": "gcn", "masked": True, "size": (64, 64), "none": None},
        {"coverage": 0.99},
    )
    board.close()
    assert [path.is_dir() for path in tmp_path.iterdir()] == [False]
    events = read(tmp_path)
    content = events.PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    start = metadata.parse_session_start_info_plugin_data(content)
    found = {
        name: value.number_value or value.string_value for name, value in start.hparams.items()
    }
    assert found == {
        "k": 10,
        "rate": 2e-3,
        "conv": "gcn",
        "masked": "True",
        "size": "(64, 64)",
        "none": "None",
    }
    assert events.Scalars("hparam/coverage")[0].value == pytest.approx(0.99)


def test_neither_torchvision_nor_moviepy_is_needed(tmp_path):
    program = f"""
import sys
sys.modules["torchvision"] = sys.modules["moviepy"] = None  # importing them raises
import numpy as np, torch
from pipelines.boards import Board, fresh_board
board = Board({str(tmp_path)!r})
board.film("film", np.zeros((2, 8, 8, 3), np.uint8), 5, 0)
board.projector(torch.zeros(4, 2), torch.zeros(4, 3, 4, 4), {{"a": [0] * 4, "b": [0] * 4}}, 0)
board.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "projector_config.pbtxt").exists()
