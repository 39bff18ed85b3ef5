"""Drawing: the only room that knows torch and diffusers."""
