# Along a row: the largest, the first that isn't finite. (Sums along a row are taken in one order
# for every instruction set: BLOCK fixed lanes, 64 bytes of reals in as many vectors as that takes,
# then the fixed tree of v_sum_of_block.)

cdef inline real max_of_first(const real* x, Py_ssize_t n) noexcept nogil:
    """The largest of n >= 0 numbers, -inf for none; any order gives the same."""
    cdef vec lowest = v_set1(-INFINITY)
    cdef vec largest = lowest
    cdef Py_ssize_t j = 0
    while j < n:
        largest = v_max(largest, v_first_or(v_load(x + j), n - j, lowest))
        j += LANES
    return v_largest(largest)


cdef Py_ssize_t find_nonfinite(const real* x, Py_ssize_t n) noexcept nogil:
    """The index of the first NaN or infinity, or -1."""
    cdef vec noted = v_zero()
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        noted = v_note_nonfinite(noted, v_load_any(x + i))
        i += LANES
    if v_all_finite(v_note_nonfinite(noted, v_load_first(x + i, n - i))):
        return -1
    for i in range(n):
        if not is_finite(x[i]):
            return i
    return -1
