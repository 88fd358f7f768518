"""The gate that fails a CI when sample quality or speed drops."""
