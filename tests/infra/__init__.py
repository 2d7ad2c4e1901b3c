"""What is written down rather than run: the template, its parameters, the locks; and the stack on this machine."""
