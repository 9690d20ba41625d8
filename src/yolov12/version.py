"""The version, in a module of its own so that no part has to import the package."""

__version__ = "0.1.0"
