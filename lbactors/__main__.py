"""`python -m lbactors` is `lbactors`."""

from lbactors.cli import main

if __name__ == "__main__":
    main()
