"""One thread for each process of the tests, for `make test` runs as many as there are cores; no deadlines; no traces.

The models of the tests are so small that their threads would mostly wait for each other. Libraries read the number when
they are imported, and processes that tests start inherit it.
"""

import os
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Jobs are kept in memory, unless a test says where.
os.environ["WRITING_SERVICE_JOBS_URL"] = "sqlite://"

# Without a GPU, Triton's kernels run in its interpreter, where it is installed. It reads this when it is imported.
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A busy machine is slow now and then; that says nothing about what is tested.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
