"""What a person reads when a package that only some things need is not installed."""

import sys

INSTALL_NAMES = {"sklearn": "scikit-learn", "PIL": "pillow"}  # where pip knows a package by another name


def install_hint(error: ModuleNotFoundError) -> str:
    """Return how to install the package that an import did not find into the Python that runs the host."""
    package = (error.name or "").partition(".")[0]
    name = INSTALL_NAMES.get(package, package)
    return (
        f"the package {name!r} is needed, which this Python does not have. Install it with\n"
        f'"{sys.executable}" -m pip install {name}\nand restart'
    )
