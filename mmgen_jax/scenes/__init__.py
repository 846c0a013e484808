"""The built-in world: its factors, what renders them and what judges them."""
