"""What this release is called: the package's version, which its functions tell too."""

VERSION = "0.1.0"
