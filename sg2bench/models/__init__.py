"""The networks of StarGAN v2 and their checkpoints."""
