"""Results of sweeps: cells, lines, tables, sheets."""
