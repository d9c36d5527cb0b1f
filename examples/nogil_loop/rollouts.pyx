# cython: boundscheck=False, wraparound=False
# A loop of one's own around a model, compiled, on all cores: Monte Carlo over a learned system.

from cython.parallel cimport prange

cimport fastbackprop

cdef enum:
    MOST = 16                    # numbers of a state


cdef int roll_out(
    const fastbackprop.Float32Net* net, const float* start, const float* noise, Py_ssize_t n_steps,
    float* end,                                  # OUT (n_in,)
) noexcept nogil:
    """Let the model say the change of a state again and again, with some noise."""
    cdef float change[MOST]
    cdef Py_ssize_t i, k
    cdef int status = 0
    for k in range(net.n_in):
        end[k] = start[k]
    for i in range(n_steps):
        status |= net.predict(net, end, change, 1)
        for k in range(net.n_in):
            end[k] += change[k] + noise[i * net.n_in + k]
    return status


def ends(model, const float[:, ::1] starts, const float[:, :, ::1] noise, float[:, ::1] out):
    """Where each start ends, behind as many steps as there is noise for."""
    capsule = model.low_level_callable("int (float *, float *, void *)")
    cdef const fastbackprop.Float32Net* net = fastbackprop.float32_net(capsule)
    cdef Py_ssize_t i, n = starts.shape[0]
    cdef int wrong = 0
    if net.n_in != net.n_out or not 0 < net.n_in <= MOST:
        raise ValueError(f"model must have as many outputs as inputs, at most {MOST}.")
    if not starts.shape[1] == noise.shape[2] == out.shape[1] == net.n_in:
        raise ValueError(f"states must be of {net.n_in} numbers.")
    if not noise.shape[0] == out.shape[0] == n:
        raise ValueError("starts, noise and out must be equally many.")
    for i in prange(n, nogil=True, schedule="static"):
        wrong += roll_out(net, &starts[i, 0], &noise[i, 0, 0], noise.shape[1], &out[i, 0])
    return wrong
