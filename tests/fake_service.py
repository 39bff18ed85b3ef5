"""The service around the shipped fakes as a process: python -m tests.fake_service SECONDS AT_ONCE key=value ..."""

import sys

from writing_service.app import create_app
from writing_service.config import load_settings
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.observability.logs import configure_logging
from writing_service.server import Server


def main() -> None:
    """Until it is told to stop."""
    seconds, at_once, *overrides = sys.argv[1:]
    settings = load_settings(["ai_generation.gpu.device=cpu", *overrides])
    configure_logging(settings.logging)
    pipeline = FakePipeline(seconds=float(seconds), at_once=int(at_once))
    app = create_app(settings, FakeLoader(pipeline))
    Server(app, app.state.admission, settings.api).run()


if __name__ == "__main__":
    main()
