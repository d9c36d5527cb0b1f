"""What every room needs: errors, checks of arguments, memory, threads, the choice of kernels."""
