"""Pictures of EEG: traces, spectra, topomaps, band power."""
