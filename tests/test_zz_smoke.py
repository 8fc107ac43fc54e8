import pytest
from core.formats.native import save_recording
from tests.small_encoders import noise_recording
from tests.webui_standin import standing_in, write_encoders

@pytest.mark.parametrize("i", range(3))
def test_x(tmp_path, i):
    with standing_in(tmp_path) as h:
        write_encoders(h.encoders, "text")
        save_recording(noise_recording(), h.recordings/'noise.safetensors')
        r=h.draw([True,'noise.safetensors','text.safetensors'],batch_size=3)
        assert not h.reported
    import gc; gc.collect()
