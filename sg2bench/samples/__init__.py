"""Pictures for people: grids of samples, galleries, animations."""
