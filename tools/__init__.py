"""Programs that measure sg2bench itself and write the tables of its documentation."""
