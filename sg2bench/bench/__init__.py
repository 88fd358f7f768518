"""How fast the generator is, and how near to what the machine can do."""
