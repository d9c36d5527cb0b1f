"""The bundled digits."""
