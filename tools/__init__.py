"""Programs that measure sg2bench and write tables of its documentation."""
