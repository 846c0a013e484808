"""What sweeps write and people read: cells, lines, tables, sheets."""
