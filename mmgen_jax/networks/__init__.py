"""Everything with parameters: encoders, fusions, generators, discriminators and their layers."""
