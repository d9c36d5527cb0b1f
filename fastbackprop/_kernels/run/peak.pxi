# The most that one core can do: FMAs on registers alone, as many chains side by side
# as the tile has. What the benchmark compares the kernels with.

cdef real chains_of_fma(Py_ssize_t n) noexcept nogil:
    cdef vec sums[TILE_ROWS * TILE_VECTORS]
    cdef vec x = v_set1(0.5)
    cdef Py_ssize_t k
    cdef vec total = v_zero()
    cdef int i, j
    # Two short loops, as in the tile: one long one would not be unrolled into registers.
    for i in range(TILE_ROWS):
        for j in range(TILE_VECTORS):
            sums[i * TILE_VECTORS + j] = v_set1(i * TILE_VECTORS + j)
    for k in range(n):
        for i in range(TILE_ROWS):
            for j in range(TILE_VECTORS):
                sums[i * TILE_VECTORS + j] = v_fma(x, x, sums[i * TILE_VECTORS + j])
    for i in range(TILE_ROWS):
        for j in range(TILE_VECTORS):
            total = v_add(total, sums[i * TILE_VECTORS + j])
    return v_get_first(total)


def multiply_adds(Py_ssize_t n):
    """Do n rounds of them; returns how many floating-point operations that was."""
    cdef real x
    cdef Mode caller
    with nogil:
        caller = begin_mode()
        x = chains_of_fma(n)
        end_mode(caller)
    # Read, or the compiler would drop the work.
    return 2 * n * TILE_ROWS * TILE_VECTORS * LANES if x == x else 0
