"""`python -m services.cli`: the console script, where no script is installed."""

from services.cli import main

if __name__ == "__main__":
    main()
