"""An encoder and its file: spectrogram, heads, target spaces, confidence, prediction."""
