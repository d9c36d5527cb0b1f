"""The compiled kernels: one module per instruction set and dtype, all from one source.

Nothing is imported here on purpose: a module for AVX-512 may not be touched on a
CPU without it. :mod:`fastbackprop._core.dispatch` imports exactly one per dtype.
"""
