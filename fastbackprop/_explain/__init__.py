"""One step with every number: as text, dict, picture and page."""
