# Sums and maxima along a row, in one order for every instruction set: BLOCK fixed
# lanes (64 bytes of reals, in as many vectors as that takes), then a fixed tree.

cdef inline real sum_of_lanes(vec* parts) noexcept nogil:
    """The sum of one block of lanes: halves folded onto each other."""
    cdef real lanes[BLOCK]
    cdef int i, width
    for i in range(VECTORS_PER_BLOCK):
        v_store_any(&lanes[i * LANES], parts[i])
    width = BLOCK // 2
    while width > 0:
        for i in range(width):
            lanes[i] += lanes[i + width]
        width //= 2
    return lanes[0]


cdef inline real max_of_row(const real* x, Py_ssize_t n) noexcept nogil:
    """The largest of n >= 1 numbers; any order gives the same."""
    cdef real largest = x[0]
    cdef Py_ssize_t j
    for j in range(1, n):
        largest = x[j] if x[j] > largest else largest
    return largest
