"""What is measured on outputs: a file a measure, each with its formula and its influences."""
