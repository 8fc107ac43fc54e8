"""Where the nodes find files: encoders in models/eeg_encoders, recordings in the input folder."""

from collections.abc import Callable
from pathlib import Path

import folder_paths

from ..core.files import SHIPPED_ENCODERS

ENCODERS = "eeg_encoders"


def register_encoder_folder() -> None:
    """Make models/eeg_encoders, and list it and the shipped encoders after what extra_model_paths.yaml names."""
    own = Path(folder_paths.models_dir) / ENCODERS
    own.mkdir(parents=True, exist_ok=True)
    folders, _ = folder_paths.folder_names_and_paths.get(ENCODERS, ([], set()))
    added = [str(folder) for folder in (own, SHIPPED_ENCODERS) if str(folder) not in folders]
    # The host's own way to add a folder would list every file in it: it leaves the set of suffixes empty.
    folder_paths.folder_names_and_paths[ENCODERS] = ([*folders, *added], {".safetensors"})


def encoder_names() -> list[str]:
    """Return the encoder files that the host knows, as the names its folders give them."""
    return folder_paths.get_filename_list(ENCODERS)


def encoder_path(name: str) -> Path:
    """Return where an encoder of the host's list lies; FileNotFoundError names the folders that were searched."""
    found = folder_paths.get_full_path(ENCODERS, name)
    if found is None:
        folders = ", ".join(folder_paths.get_folder_paths(ENCODERS))
        raise FileNotFoundError(f"No EEG encoder called {name!r}. Put its .safetensors file into one of: {folders}")
    return Path(found)


def recording_names() -> list[str]:
    """Return the files of the host's input folder that a reader takes, by suffix, as paths within it, sorted."""
    from ..core.formats.contract.suffixes import recordings_in

    inside = Path(folder_paths.get_input_directory())
    return [path.relative_to(inside).as_posix() for path in recordings_in(inside)]


def recording_path(name: str) -> Path:
    """Return where a file of the input folder lies; the host refuses names that lead out of it (ValueError)."""
    shown = name if len(name) <= 80 else f"{name[:60]}... ({len(name)} letters)"
    if "\x00" in name:
        raise ValueError(f"{shown!r} is no name of a file")
    try:
        path = Path(folder_paths.get_annotated_filepath(name))
        found = path.is_file()
    except OSError as error:
        raise ValueError(f"{shown!r} is no name of a file: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{shown!r} leads out of ComfyUI's input folder; put the recording into it") from error
    if not found:
        inside = folder_paths.get_input_directory()
        raise FileNotFoundError(
            f"No recording called {shown!r} in ComfyUI's input folder ({inside}). Upload it with the node's button"
        )
    return path


def format_names() -> list[str]:
    """Return the names of the readers."""
    from ..core.formats.contract.suffixes import SUFFIXES

    return sorted(SUFFIXES)


def complaint(find: Callable[[str], Path], name: str) -> bool | str:
    """Return True where `find` knows the name, else its sentence, as the host's validation wants it."""
    try:
        find(name)
    except (ValueError, OSError) as error:
        return str(error)
    return True


def content_of(path: Path) -> str:
    """Return a digest of a file and of those that belong to it (.eeg and .vmrk of a .vhdr, .fdt of a .set)."""
    from ..core.files import digest_of, files_of_set

    return " ".join(map(digest_of, files_of_set(path)))


def free_encoder_path(filename: str) -> Path:
    """Return a path in models/eeg_encoders that no file has yet; ValueError for a name that leads elsewhere."""
    from ..core.files import free_path

    return free_path(Path(folder_paths.models_dir) / ENCODERS, filename, ".safetensors")
