import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from pipelines.boards import Board, fresh_board
from tests.pipelines.commands import PARTICLES, Trained, particlecast
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


def rows(folder: Path) -> tuple[list[str], dict[str, tuple[dict, dict]]]:
    """What TensorBoard's own HParams tab shows of a log folder.

    Returns:
        The heads of its columns; row to its settings and its metrics.
    """
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context
    from tensorboard.plugins.hparams.get_experiment import Handler as Experiment
    from tensorboard.plugins.hparams.list_session_groups import Handler as Groups

    log = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    provider = MultiplexerDataProvider(log, str(folder))
    context = backend_context.Context(TBContext(data_provider=provider))
    asked = RequestContext()
    whole = Experiment(asked, context, "", api_pb2.GetExperimentRequest()).run()
    heads = [info.name for info in whole.hparam_infos]
    heads += [info.name.tag for info in whole.metric_infos]
    every = [api_pb2.Status.Value(name) for name in ("STATUS_SUCCESS", "STATUS_UNKNOWN")]
    columns = [{"metric": info.name} for info in whole.metric_infos]
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=every, col_params=columns, slice_size=9
    )
    found = Groups(asked, context, "", request).run().session_groups
    return heads, {
        group.name: (
            {key: value.number_value or value.string_value for key, value in group.hparams.items()},
            {value.name.tag: value.value for value in group.metric_values},
        )
        for group in found
    }


def test_a_figure_that_could_not_be_measured_keeps_its_column(tmp_path: Path) -> None:
    for name, value in {"a": np.nan, "b": 2.5}.items():
        board = Board(tmp_path / name)
        board.hyperparameters({"k": 10, "dlp.kind": name}, {"gain, dB": value, "loss": 1.5})
        board.close()
    heads, found = rows(tmp_path)
    assert set(heads) == {"k", "dlp.kind", "hparam/gain, dB", "hparam/loss"}
    assert found["a"] == ({"k": 10, "dlp.kind": "a"}, {"hparam/loss": 1.5})
    assert found["b"][1] == {"hparam/gain, dB": 2.5, "hparam/loss": 1.5}


def test_evaluations_are_rows_of_the_same_columns(
    own: Trained, tiny: Trained, tmp_path: Path
) -> None:
    """In the folder of all runs, whose trainings have rows of their own."""
    one, other = (
        Trained(tiny.data, shutil.copytree(own.run, tmp_path / "all" / name, symlinks=True))
        for name in ("one", "other")
    )
    for run, horizon, out in ((one, 4, "first"), (one, 3, "last"), (other, 4, "last")):
        words = ("--context", 8, "--horizon", horizon, "--out", tmp_path / out)
        particlecast("evaluate", *run.on(), *words)
    heads, found = rows(tmp_path / "all")
    evaluated = {name: row for name, row in found.items() if "/evaluate/" in name}
    boards = [f"{name}/tensorboard/evaluate/last" for name in ("one", "other")]
    assert set(evaluated) == {"one/tensorboard/evaluate/first", *boards}
    first, second = (evaluated[name] for name in boards)
    assert (first[0]["horizon"], second[0]["horizon"]) == (3, 4)
    for settings, metrics in (first, second):
        assert set(settings) <= set(heads)
        assert (settings["stage1.steps"], settings["dlp.particles"]) == (6, PARTICLES)
        assert {"stage1.seed", "stage1.commit", "stage2.steps", "stage2.learning_rate"} <= set(
            settings
        )
        assert {"hparam/psnr", "hparam/IDF1 of context and forecast"} <= set(metrics)
    assert set(first[0]) == set(second[0])


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
