"""The extension's page in the host's Settings, and what it says."""

from pathlib import Path

SECTION = ("sd_eeg", "EEG")
FOLDER_OPTION = "sd_eeg_encoder_folder"
SHIPPED_ENCODERS = Path(__file__).resolve().parent.parent / "assets" / "encoders"


def add_settings() -> None:
    """Add the folder of encoders to the host's settings."""
    from modules import shared

    option = shared.OptionInfo(
        "", "Folder of EEG encoders (empty: models/eeg_encoders in the webui's folder)", section=SECTION
    )
    shared.opts.add_option(FOLDER_OPTION, option)


def encoder_folders() -> list[Path]:
    """Return where encoder files lie: the setting's folder or models/eeg_encoders, then the ones shipped with us."""
    from modules import paths, shared

    chosen = getattr(shared.opts, FOLDER_OPTION, "") or Path(paths.models_path) / "eeg_encoders"
    return [Path(chosen), SHIPPED_ENCODERS]


def encoder_files() -> dict[str, Path]:
    """Return the encoder files by the name a user picks them by; a user's file hides a shipped one of its name."""
    files: dict[str, Path] = {}
    for folder in encoder_folders():
        for path in sorted(folder.glob("**/*.safetensors")) if folder.is_dir() else []:
            files.setdefault(path.relative_to(folder).as_posix(), path)
    return files
