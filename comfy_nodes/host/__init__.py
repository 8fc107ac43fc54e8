"""What stands between core and ComfyUI: sockets, model families, progress, pictures, messages."""
