"""Images for viewers: sample grids, galleries, animations."""
