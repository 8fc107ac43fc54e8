import pytest
import torch

from core.conditioning.conditioning import condition
from core.conditioning.init_images import init_picture
from core.fitting.closed_form import fit_closed_form
from core.model.checkpoint import load_encoder, save_encoder
from core.model.heads import Head, HeadConfig
from core.model.picture_generator import Generator, ProjectionDiscriminator
from core.preprocessing.selection import select_events
from tests.small_encoders import noise_recording, small_encoder

PICTURE = HeadConfig("saliency", "generator", shape=(3, 64, 64), channels=4)


def lively(head: Head) -> Head:
    """Give a new generator's last layer weights, so that its pictures depend on what comes in."""
    torch.manual_seed(1)
    torch.nn.init.normal_(head.generator.paint.weight, std=0.3)
    return head


@pytest.mark.parametrize("size", [64, 128])
def test_pictures_have_the_size_asked_for_and_lie_between_0_and_1(size):
    head = lively(Head(HeadConfig("saliency", "generator", shape=(3, size, size), channels=4), 2, 6))
    found = head.unpack(head(torch.randn(3, 2, 6) * 10))[0]
    assert found.shape == (3, 3, size, size)
    assert 0 <= found.min() < found.max() <= 1


@pytest.mark.parametrize("size", [64, 128])
def test_the_published_size_stays_small_enough_for_a_cpu(size):
    generator = Generator(1000, size, noise=32, condition=128, channels=16)
    assert sum(parameter.numel() for parameter in generator.parameters()) < 2_000_000


def test_a_new_generator_draws_the_mean_training_picture():
    head = Head(PICTURE, 2, 6)
    pictures = torch.rand(20, 3 * 64 * 64) * 0.8 + 0.1
    head.set_target(pictures)
    torch.testing.assert_close(head(torch.randn(2, 2, 6)), pictures.mean(0).expand(2, -1), atol=1e-5, rtol=0)


def test_pictures_depend_on_the_features_and_on_the_noise():
    head = lively(Head(PICTURE, 2, 6)).eval()
    tokens, noise = torch.randn(2, 2, 6), torch.randn(2, 32)
    same = head(tokens[:1].expand(2, -1, -1), noise[:1].expand(2, -1))
    assert torch.allclose(same[0], same[1], atol=1e-6)
    assert (head(tokens, noise[:1].expand(2, -1))[0] - head(tokens, noise[:1].expand(2, -1))[1]).abs().mean() > 1e-3
    other_noise = head(tokens[:1].expand(2, -1, -1), noise)
    assert (other_noise[0] - other_noise[1]).abs().mean() > 1e-3


def test_a_picture_does_not_depend_on_its_batch():
    head = lively(Head(PICTURE, 2, 6)).eval()
    tokens = torch.randn(5, 2, 6)
    torch.testing.assert_close(head(tokens)[:1], head(tokens[:1]), atol=1e-5, rtol=1e-4)


def test_noise_is_drawn_in_training_and_zero_in_use():
    head = lively(Head(PICTURE, 2, 6))
    tokens = torch.randn(1, 2, 6)
    assert not torch.equal(head.train()(tokens), head(tokens))
    assert torch.equal(head.eval()(tokens), head(tokens, torch.zeros(1, 32)))


def test_with_several_fixed_noises_the_picture_is_their_mean():
    head = lively(Head(PICTURE, 2, 6)).eval()
    tokens, noises = torch.randn(1, 2, 6), torch.randn(3, 32)
    head.fix_noise(noises)
    apart = torch.cat([head(tokens, noise[None]) for noise in noises])
    torch.testing.assert_close(head(tokens), apart.mean(0, keepdim=True))


def test_the_head_comes_back_from_its_file_with_its_noise(tmp_path):
    encoder = small_encoder(HeadConfig("prompts", "prompts", prompts=("a face", "a house")), PICTURE)
    lively(encoder.head("saliency")).fix_noise(torch.randn(3, 32))
    eeg = torch.randn(2, 8, encoder.preprocessing.n_times)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    loaded = load_encoder(tmp_path / "encoder.safetensors")
    assert loaded.head("saliency").config.draws == 3
    torch.testing.assert_close(loaded(eeg)["saliency"], encoder(eeg)["saliency"])


def test_conditioning_gives_the_picture_and_strength_0_the_mean_one():
    encoder = small_encoder(PICTURE)
    head = lively(encoder.head())
    head.set_target(torch.rand(10, 3 * 64 * 64))
    eeg = torch.randn(2, 8, encoder.preprocessing.n_times)
    decoded = condition(encoder, eeg)
    torch.testing.assert_close(decoded.picture, head.unpack(encoder(eeg)["saliency"])[0])
    mean = condition(encoder, eeg, strength=0.0).picture
    torch.testing.assert_close(mean[0].flatten(), head.target_mean)
    assert torch.equal(decoded.negative.picture[0].flatten(), head.target_mean)


def test_img2img_starts_from_it():
    encoder = small_encoder(PICTURE)
    lively(encoder.head())
    assert init_picture(encoder, select_events(noise_recording()), "saliency").size == (64, 64)


def test_spread_and_recall_leave_a_generators_pictures_alone():
    head = lively(Head(PICTURE, 2, 6)).eval()
    pictures = torch.rand(12, 3 * 64 * 64)
    head.set_target(pictures)
    found = head(torch.randn(12, 2, 6))
    head.fit_recall(found, pictures)
    head.fit_spread_gain(found, pictures)
    assert torch.equal(head.recall(found), found)
    torch.testing.assert_close(head.restore_spread(found), found)
    torch.testing.assert_close(head.comparable(found), found - pictures.mean(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": (3, 96, 96)}, "64 x 64 or 3 x 128"),
        ({"space": "sd1.latent", "shape": (4, 8, 8)}, "saliency pictures"),
        ({"noise": 0}, "noise is 1 to"),
        ({"draws": 100}, "draws is 1 to"),
        ({"concepts": ("a face",)}, "keeps no concepts"),
    ],
)
def test_a_generator_that_cannot_be_is_refused(changes, said):
    values = {"space": "saliency", "kind": "generator", "shape": (3, 64, 64)}
    with pytest.raises(ValueError, match=said):
        HeadConfig(**{**values, **changes})


def test_a_generator_has_no_closed_form():
    encoder = small_encoder(PICTURE, architecture="linear", config={"n_bins": 4})
    with pytest.raises(ValueError, match="closed form"):
        fit_closed_form(encoder, torch.randn(30, 8, encoder.preprocessing.n_times), torch.zeros(30).long(), {})


def test_the_discriminators_verdict_depends_on_picture_and_condition():
    torch.manual_seed(0)
    judge = ProjectionDiscriminator(12, 64, channels=8).eval()
    pictures, features = torch.rand(4, 3, 64, 64), torch.randn(4, 12)
    own = judge(pictures, features)
    assert own.shape == (4,)
    assert (own - judge(pictures, features.roll(1, 0))).abs().min() > 1e-4
    assert (own - judge(pictures.roll(1, 0), features)).abs().min() > 1e-4


def test_the_discriminator_learns_pairs_that_differ_in_the_condition_alone():
    torch.manual_seed(0)
    judge = ProjectionDiscriminator(4, 64, channels=8)
    optimiser = torch.optim.Adam(judge.parameters(), lr=2e-3)
    left = torch.zeros(16, 3, 64, 64)
    left[:8, :, :, :32] = 1  # eight pictures light on the left, eight dark
    features = torch.randn(2, 4).repeat_interleave(8, 0)
    for _ in range(60):
        optimiser.zero_grad()
        loss = torch.relu(1 - judge(left, features)) + torch.relu(1 + judge(left, features.roll(8, 0)))
        loss.mean().backward()
        optimiser.step()
    assert (judge(left, features) > judge(left, features.roll(8, 0))).all()
