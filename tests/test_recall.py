import torch

from core.conditioning.conditioning import condition
from core.model.checkpoint import load_encoder, save_encoder
from core.model.heads import Head, HeadConfig
from tests.small_encoders import small_encoder


def head_with_gallery(n: int = 60, rank: int = 8) -> tuple[Head, torch.Tensor]:
    torch.manual_seed(0)
    targets = torch.randn(n, rank) @ torch.randn(rank, 768)
    head = Head(HeadConfig("clip-l.image", "basis", rank=rank, concepts=tuple(map(str, range(n)))), 1, 4)
    head.set_target(targets)
    head.gallery.copy_(head.comparable(targets))
    return head, targets


def noisy(head: Head, targets: torch.Tensor) -> torch.Tensor:
    """Regression as it is: shrunken towards the mean, with errors."""
    coordinates = 0.5 * head.coordinates(targets)
    return head.from_coordinates(coordinates + 0.3 * head.target_spread * torch.randn_like(coordinates))


def test_recall_brings_predictions_nearer_to_their_targets():
    head, targets = head_with_gallery()
    predicted = noisy(head, targets)
    head.fit_recall(predicted, targets)
    before = torch.cosine_similarity(head.comparable(predicted), head.comparable(targets)).mean()
    after = torch.cosine_similarity(head.comparable(head.recall(predicted)), head.comparable(targets)).mean()
    assert after > before + 0.02


def test_recall_is_off_until_it_is_fitted():
    head, targets = head_with_gallery()
    predicted = noisy(head, targets)
    assert head.recall(predicted) is predicted


def test_a_small_temperature_recalls_the_nearest_concept():
    head, targets = head_with_gallery()
    head.recall_temperature.fill_(1e-4)
    shrunken = head.from_coordinates(0.3 * head.coordinates(targets))
    torch.testing.assert_close(head.recall(shrunken), targets, atol=1e-2, rtol=1e-2)


def test_recall_survives_the_file_and_can_be_turned_off(tmp_path):
    encoder = small_encoder(HeadConfig("clip-l.image", "basis", rank=4, concepts=("a", "b", "c")))
    encoder.head().gallery.copy_(torch.randn(3, 4))
    encoder.head().recall_temperature.fill_(0.1)
    save_encoder(encoder, tmp_path / "e.safetensors")
    eeg = torch.randn(2, 8, 128)
    kept = condition(load_encoder(tmp_path / "e.safetensors"), eeg).image_embeds
    assert torch.equal(kept, condition(encoder, eeg).image_embeds)
    assert not torch.equal(kept, condition(encoder, eeg, recall=False).image_embeds)
