"""convviz: see convolution, one number at a time."""

__version__ = "0.1.0"
