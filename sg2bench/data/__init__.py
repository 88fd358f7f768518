"""Images by split and domain, and the batches that training sees."""
