"""Where the webui keeps recordings and encoder files."""
