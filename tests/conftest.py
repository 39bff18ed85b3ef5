"""One thread for each process of the tests: `make test` runs as many as there are cores.

The models of the tests are so small that their threads would mostly wait for each other. Libraries read this when they
are imported, and processes that tests start inherit it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
