"""Definitions of your own beside the pipeline's: `dg scaffold defs` writes here, and the code location loads what is here."""
