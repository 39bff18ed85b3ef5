"""`python -m writing_service` is the command `writing-service`."""

from writing_service.cli.root import main

if __name__ == "__main__":
    main()
