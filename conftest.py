"""Versions in the header of the test report."""

from importlib.metadata import PackageNotFoundError, version

from pytest_astropy_header.display import PYTEST_HEADER_MODULES, TESTED_VERSIONS


def pytest_configure(config):
    """List what decides the outcome of the tests."""
    PYTEST_HEADER_MODULES.clear()
    PYTEST_HEADER_MODULES.update(
        {
            "Numpy": "numpy",
            "Scipy": "scipy",
            "Astropy": "astropy",
            "Gwcs": "gwcs",
            "Specutils": "specutils",
            "Photutils": "photutils",
            "Stdatamodels": "stdatamodels",
            "Asdf": "asdf",
        }
    )
    try:
        TESTED_VERSIONS["specmodels"] = version("specmodels")
    except PackageNotFoundError:
        TESTED_VERSIONS["specmodels"] = "unknown (not installed)"
