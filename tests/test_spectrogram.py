"""The spectrogram module: torch.stft and scipy for `stft`, a matplotlib render through a PNG for `braincoder`."""

import io
import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from core.model.spectrogram import Spectrogram, SpectrogramConfig, resize_weights
from core.model.viridis import viridis


def png_picture(signal, rate=125.0):
    """Return the picture (240, 320, 3) that matplotlib and Pillow make of one channel, by way of a PNG in memory."""
    import warnings

    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    # Under matplotlib's own defaults, whatever the user's settings, and without pyplot's global figures.
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        warnings.simplefilter("ignore")  # "Only one segment is calculated": that is the point
        figure = Figure()
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.specgram(signal, Fs=rate, noverlap=1)
        axes.set_axis_off()
        axes.margins(0)
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0)
    picture = Image.open(file).convert("RGB")
    assert picture.size == (640, 480)
    return np.asarray(picture.resize((320, 240), Image.Resampling.BILINEAR), dtype=np.float64) / 255


def signals():
    """Return channels (8, 256) in volts of the kinds that recordings hold."""
    generator = np.random.default_rng(3)
    times = np.arange(256) / 128
    white = generator.normal(size=(8, 256))
    white[1] = np.cumsum(white[1])  # drift
    white[2] += 420  # an EPOC's offset of 4.2 mV
    white[3] += 30 * np.sin(2 * np.pi * 10.3 * times)  # alpha
    white[4] += 80 * np.sin(2 * np.pi * 50 * times)  # line noise
    white[5] = np.round(white[5])  # a coarse converter
    white[6] *= np.hanning(256) ** 4  # a burst
    white[7] += 1000 * np.exp(-(((times - 1) / 0.1) ** 2))  # a blink
    return (1e-5 * white).astype(np.float32)


@pytest.fixture(scope="module")
def rendered():
    return np.stack([png_picture(signal) for signal in signals()])


def test_pictures_match_matplotlib_within_two_grey_levels(rendered):
    eeg = torch.tensor(signals()).view(2, 4, 256)
    pictures = Spectrogram(SpectrogramConfig(kind="braincoder"))(eeg)
    assert pictures.shape == (2, 12, 240, 320)
    ours = pictures.reshape(8, 3, 240, 320).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours - rendered).max() <= 2 / 255


def test_the_published_rate_of_125_hz_draws_the_same_picture_as_the_true_one(rendered):
    assert np.array_equal(png_picture(signals()[0], rate=128.0), rendered[0])


def test_long_windows_are_cropped_and_short_ones_padded_with_the_mean(rendered):
    module = Spectrogram(SpectrogramConfig(kind="braincoder"))
    signal = torch.tensor(signals()[:1])
    longer = torch.cat((signal, torch.ones(1, 50)), 1)
    assert torch.equal(module(longer[None]), module(signal[None]))
    short = signals()[1, :200]
    expected = png_picture(np.pad(short, (0, 56), mode="mean"))
    assert np.abs(module(torch.tensor(short)[None, None])[0].permute(1, 2, 0).numpy() - expected).max() <= 2 / 255


def test_fourteen_channels_give_braincoders_42():
    config = SpectrogramConfig(kind="braincoder")
    assert Spectrogram(config)(torch.randn(1, 14, 256)).shape == (1, 42, 240, 320)


def test_a_channel_without_power_is_drawn_in_the_lowest_colour():
    pictures = Spectrogram(SpectrogramConfig(kind="braincoder"))(torch.zeros(1, 1, 256))
    torch.testing.assert_close(pictures[0, :, 0, 0], viridis()[0])
    assert torch.equal(pictures, pictures[:, :, :1, :1].expand_as(pictures))


def test_the_colour_table_is_matplotlibs():
    import matplotlib as mpl

    table = mpl.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]
    assert np.array_equal((viridis() * 255).round().numpy(), table)


@pytest.mark.parametrize("new_size", [240, 480, 100, 700, 1])
def test_resizing_equals_pillows_bilinear_filter(new_size):
    from PIL import Image

    column = np.random.default_rng(0).random(480).astype(np.float32)
    expected = np.asarray(Image.fromarray(column[:, None]).resize((1, new_size), Image.Resampling.BILINEAR))[:, 0]
    np.testing.assert_allclose(resize_weights(480, new_size).numpy() @ column, expected, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        SpectrogramConfig(),
        SpectrogramConfig(n_fft=128),
        SpectrogramConfig(sfreq=250.0, window_s=0.3, hop_s=0.1, n_fft=0, min_db=-20.0, max_db=20.0),
        SpectrogramConfig(window_s=0.3, n_fft=45, unit_v=1.0, min_db=-140.0, max_db=-80.0),
    ],
    ids=["default", "zero-padded", "75 samples", "odd"],
)
def test_levels_equal_those_of_torch_stft(config):
    torch.manual_seed(0)
    eeg = 2e-5 * torch.randn(3, 14, 256)
    window = torch.hann_window(config.window, dtype=torch.double)
    n_fft = config.n_fft or config.window
    # torch.stft centres a shorter window in n_fft samples; framing by hand starts at the same sample.
    padded = torch.nn.functional.pad(eeg.double(), (config.window // 2,) * 2, mode="reflect")
    frames = padded.unfold(-1, config.window, config.hop) * window
    density = torch.fft.rfft(frames, n=n_fft).abs().square().mT / (config.sfreq * window.square().sum())
    decibels = 10 * torch.log10(2 * density / config.unit_v**2)
    expected = ((decibels - config.min_db) / (config.max_db - config.min_db)).clamp(0, 1)
    levels = Spectrogram(config)(eeg)
    assert levels.shape[1:] == (14, config.n_freqs, 1 + 256 // config.hop)
    torch.testing.assert_close(levels.double(), expected, rtol=0, atol=1e-4)
    assert 0.05 < levels.mean() < 0.95
    if n_fft == config.window and n_fft % 2 == 0:
        transform = torch.stft(
            eeg.flatten(0, 1).double(), n_fft, config.hop, window=window, center=True, return_complex=True
        )
        power = 2 * transform.abs().square() / (config.sfreq * window.square().sum()) / config.unit_v**2
        again = ((10 * power.log10() - config.min_db) / (config.max_db - config.min_db)).clamp(0, 1)
        torch.testing.assert_close(levels.double().flatten(0, 1), again, rtol=0, atol=1e-4)


def test_levels_are_scipys_power_density_in_decibels():
    from scipy.signal import welch

    config = SpectrogramConfig(sfreq=128.0, window_s=1.0, hop_s=1.0)
    signal = 2e-5 * np.random.default_rng(0).normal(size=128 * 60)
    levels = Spectrogram(config)(torch.tensor(signal, dtype=torch.float32)[None, None])[0, 0, :, 1:-1]
    decibels = config.min_db + levels.numpy() * (config.max_db - config.min_db)
    # Frames centred on whole seconds are scipy's, half a window later.
    _, density = welch(signal[64:-64], 128.0, "hann", 128, 0, detrend=False)
    density[[0, -1]] *= 2  # scipy does not double these two
    np.testing.assert_allclose((10 ** (decibels / 10)).mean(1), density * 1e12, rtol=1e-3)


def test_silence_is_the_floor_and_gradients_stay_finite():
    for kind in ("stft", "braincoder"):
        eeg = torch.zeros(1, 2, 256, requires_grad=True)
        pictures = Spectrogram(SpectrogramConfig(kind=kind))(eeg)
        pictures.sum().backward()
        assert torch.isfinite(pictures).all()
        assert torch.isfinite(eeg.grad).all()
        if kind == "stft":
            assert pictures.max() == 0


@pytest.mark.parametrize("kind", ["stft", "braincoder"])
def test_gradients_are_those_of_finite_differences(kind):
    torch.manual_seed(0)
    config = SpectrogramConfig(kind=kind, min_db=-60.0, max_db=80.0, image_height=24, image_width=2)
    module = Spectrogram(config).double()
    eeg = 2e-5 * torch.randn(1, 1, 256, dtype=torch.double)
    weights = torch.randn(module(eeg).shape[1:], dtype=torch.double)

    def score(signal):
        return float((module(signal).double() * weights).sum())

    leaf = eeg.clone().requires_grad_()
    (module(leaf).double() * weights).sum().backward()
    direction = torch.randn_like(eeg)
    direction *= 1e-8 / direction.norm()
    step = (score(eeg + direction) - score(eeg - direction)) / 2
    assert float((leaf.grad * direction).sum()) == pytest.approx(step, rel=0.05)


def test_the_number_of_signals_in_a_chunk_changes_nothing(monkeypatch):
    eeg, module = 2e-5 * torch.randn(3, 5, 128), Spectrogram(SpectrogramConfig())
    whole = module(eeg)
    monkeypatch.setattr("core.model.spectrogram.CHUNK", 4)
    torch.testing.assert_close(module(eeg), whole, rtol=0, atol=1e-6)


def test_levels_are_the_same_with_and_without_gradients():
    eeg, module = 2e-5 * torch.randn(3, 5, 128), Spectrogram(SpectrogramConfig(window_s=0.3, hop_s=0.05))
    torch.testing.assert_close(module(eeg.clone().requires_grad_()), module(eeg), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["stft", "braincoder"])
def test_config_survives_json_and_the_module_stores_nothing(kind):
    config = SpectrogramConfig(kind=kind)
    assert SpectrogramConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert Spectrogram(config).state_dict() == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "mel"}, "known: stft, braincoder"),
        ({"sfreq": float("inf")}, "sfreq"),
        ({"n_fft": 63}, "less than the window's 64 samples"),
        ({"n_fft": 10**9}, "n_fft"),
        ({"min_db": 40.0}, "below max_db"),
        ({"window_s": 0.001}, "2 to 65536 samples"),
        ({"image_height": 10**6}, "image_height"),
    ],
)
def test_impossible_settings_say_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        SpectrogramConfig(**changes)


def test_a_signal_shorter_than_half_the_window_is_refused():
    with pytest.raises(ValueError, match="needs more than 32"):
        Spectrogram(SpectrogramConfig())(torch.zeros(1, 1, 32))
    with pytest.raises(ValueError, match="takes \\(batch, channels, times\\)"):
        Spectrogram(SpectrogramConfig())(torch.zeros(1, 32))
