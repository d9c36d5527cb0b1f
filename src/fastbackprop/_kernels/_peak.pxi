# The most that one core can do: FMAs on registers alone, as many chains side by side
# as the tile has. What the benchmark compares the kernels with.

cdef real chains_of_fma(Py_ssize_t n) noexcept nogil:
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef vec x = v_set1(0.5)
    cdef Py_ssize_t k
    cdef int i
    for i in range(TILE_ROWS * TILE_VECTORS):
        sums[i] = v_set1(i)
    for k in range(n):
        for i in range(TILE_ROWS * TILE_VECTORS):
            sums[i] = v_fma(x, sums[i], x)
    for i in range(1, TILE_ROWS * TILE_VECTORS):
        sums[0] = v_add(sums[0], sums[i])
    return v_get_first(sums[0])


def multiply_adds(Py_ssize_t n):
    """Do n rounds of them; returns how many floating-point operations that was."""
    cdef real x
    with nogil:
        x = chains_of_fma(n)
    # Read, or the compiler would drop the work.
    return 2 * n * TILE_ROWS * TILE_VECTORS * LANES if x == x else 0
