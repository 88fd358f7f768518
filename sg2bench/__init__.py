"""What each part of StarGAN v2 buys, in numbers with error bars."""

__version__ = "0.1.0"
