"""From a config file to a System: schema, loading, overrides, presets, and the only reader of components."""
