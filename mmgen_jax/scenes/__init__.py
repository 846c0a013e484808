"""The built-in data set `scenes`: its factors, the renderers, and the judges that read the factors back."""
