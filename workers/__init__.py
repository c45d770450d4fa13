"""The processes beside the web server: supervisor, queue workers and scheduler."""
