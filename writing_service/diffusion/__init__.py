"""Drawing: the only room that knows torch and diffusers."""

import os

# diffusers looks for image processors of its own accord, and transformers then warns that they lack
# torchvision, which nothing here uses. It can only be told before it is imported.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
