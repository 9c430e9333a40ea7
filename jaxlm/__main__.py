"""`python -m jaxlm`: the command line, where the script `jaxlm` is not on the path."""

from jaxlm.cli.entry import entry

if __name__ == "__main__":
    entry()
