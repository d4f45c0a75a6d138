"""`python -m torchnotes_kb` is `kb`."""

from torchnotes_kb.cli import main

if __name__ == "__main__":
    main()
