"""Commands that open no data and build no model: they list, compare, clean up and help."""
