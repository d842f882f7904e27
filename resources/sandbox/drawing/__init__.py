"""From inputs to a real MP4: simple pictures and sounds that show the inputs."""
